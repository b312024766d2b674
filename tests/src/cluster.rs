//! A cluster of three primaries with a replica each, and what is done to it while it is in use.

use std::fmt::Display;
use std::time::Duration;

use conversation_core::{CacheConfig, ConversationStore, DatabaseConfig};
use conversation_local::{Tools, Valkey};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Value, cmd};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::api::serve;
use crate::{Api, INSTANCES, Server, connection_to, fail, new_database, tools};

/// A few clusters at a time are enough for a machine.
static TURNS: Semaphore = Semaphore::const_new(2);

/// How many primaries there are, and how many replicas.
const SHARDS: usize = 3;
const SLOTS: u16 = 16_384;

/// The stores of one test, with a cluster in Redis's place.
#[derive(Debug)]
pub struct ClusterStack {
    /// Its database.
    pub database_url: String,
    /// The servers: the primaries, then the replicas, as it was in the beginning.
    pub members: Vec<Valkey>,
    /// A connection to each; none to one that was killed.
    connections: Vec<Option<MultiplexedConnection>>,
    password: String,
    _turn: SemaphorePermit<'static>,
}

/// A server as the others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which of [`ClusterStack::members`].
    pub index: usize,
    /// Its id in the cluster.
    pub id: String,
    /// Whether it is a primary.
    pub is_primary: bool,
}

impl ClusterStack {
    /// A database, and a cluster that is ready.
    pub async fn start() -> Self {
        Self::of(tools()).await
    }

    /// The same, of other servers; none if there are none.
    pub async fn on(server: Server) -> Option<Self> {
        Some(Self::of(&server.tools()?).await)
    }

    async fn of(tools: &Tools) -> Self {
        let turn = TURNS.acquire().await.unwrap_or_else(|error| fail(&error));
        let database_url = new_database().await.unwrap_or_else(|error| fail(&error));
        let password = uuid::Uuid::new_v4().simple().to_string();
        let starting = (0..2 * SHARDS).map(|_| {
            let (tools, password) = (tools.clone(), password.clone());
            tokio::task::spawn_blocking(move || {
                let quick = ["cluster-node-timeout 2500", "repl-diskless-sync-delay 0"];
                Valkey::cluster_member(&tools, &password, &quick)
            })
        });
        let (mut members, mut connections) = (Vec::new(), Vec::new());
        for member in starting.collect::<Vec<_>>() {
            let member = member.await.unwrap_or_else(|error| fail(&error));
            let member = member.unwrap_or_else(|error| fail(&error));
            connections.push(Some(connection_to(&member).await));
            members.push(member);
        }
        let stack = Self { database_url, members, connections, password, _turn: turn };
        stack.join().await;
        stack
    }

    async fn join(&self) {
        for index in 0..2 * SHARDS {
            let epoch = cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1).take();
            self.ask::<()>(index, &epoch).await;
        }
        for index in 1..2 * SHARDS {
            let info: Vec<(String, String)> = self.config(index, "cluster-port").await;
            let bus = &info[0].1;
            let port = self.members[index].port();
            let meet = cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(port).arg(bus).take();
            self.ask::<()>(0, &meet).await;
        }
        for (index, range) in ranges().into_iter().enumerate() {
            let add = cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(range.0).arg(range.1).take();
            self.ask::<()>(index, &add).await;
        }
        self.until("all know each other", async || {
            let mut all = true;
            for index in 0..2 * SHARDS {
                all &= self.cluster_info(index).await.contains("cluster_known_nodes:6");
            }
            all
        })
        .await;
        for index in SHARDS..2 * SHARDS {
            let id: String = self.ask(index - SHARDS, cmd("CLUSTER").arg("MYID")).await;
            self.ask::<()>(index, cmd("CLUSTER").arg("REPLICATE").arg(id)).await;
        }
        self.until_well().await;
    }

    /// Waits until every slot is served and every primary that runs has the replicas that run.
    pub async fn until_well(&self) {
        self.until("the cluster is well", async || {
            let mut well = true;
            for index in self.running() {
                let replication: String = self.ask(index, cmd("INFO").arg("replication")).await;
                let linked = replication.contains("role:master") || replication.contains("link_status:up");
                well &= linked && self.cluster_info(index).await.contains("cluster_state:ok");
            }
            well
        })
        .await;
    }

    /// Waits until something is so, for half a minute at most.
    pub async fn until(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        fail(&format!("it did not come about that {what}"));
    }

    async fn cluster_info(&self, index: usize) -> String {
        self.ask(index, cmd("CLUSTER").arg("INFO")).await
    }

    async fn config(&self, index: usize, name: &str) -> Vec<(String, String)> {
        self.ask(index, cmd("CONFIG").arg("GET").arg(name)).await
    }

    /// The store itself, in this process, as an instance of a function has it: with connections of its own.
    pub fn store(&self) -> ConversationStore {
        let database = DatabaseConfig::from_url(&self.database_url).unwrap_or_else(|error| fail(&error));
        let cache = CacheConfig::from_settings(&[("REDIS_URL", &self.url()), ("REDIS_CLUSTER", "true")]);
        let cache = cache.unwrap_or_else(|error| fail(&error));
        conversation_core::store(&database, &cache)
    }

    /// Where one of its servers is: in the beginning no primary, so that everything has to be found from there.
    pub fn url(&self) -> String {
        self.members[self.running().last().unwrap_or_default()].url()
    }

    /// The API: the functions' binaries behind a front like API Gateway's.
    pub async fn api(&self, changes: &[(&str, &str)]) -> Api {
        let changes = [&[("REDIS_CLUSTER", "true")], changes].concat();
        serve(&self.database_url, &self.url(), &changes, INSTANCES).await
    }

    /// A connection to the test's database.
    pub async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.database_url).await.unwrap_or_else(|error| fail(&error))
    }

    /// Asks one of the servers.
    pub async fn ask<T: FromRedisValue>(&self, index: usize, command: &Cmd) -> T {
        let mut connection = self.connections[index].clone().unwrap_or_else(|| fail(&"it was killed"));
        command.query_async(&mut connection).await.unwrap_or_else(|error| fail(&error))
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.members.len()).filter(|index| self.connections[*index].is_some())
    }

    /// Sends a signal to one of the servers.
    pub fn signal(&self, member: &Member, signal: Signal) {
        let pid = self.members[member.index].pid().unwrap_or_else(|error| fail(&error));
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap_or_else(|| fail(&"no process"));
        kill_process(pid, signal).unwrap_or_else(|error| fail(&error));
    }

    /// Ends one of the servers from one moment to the next.
    pub fn kill(&mut self, member: &Member) {
        self.signal(member, Signal::KILL);
        self.connections[member.index] = None;
    }

    /// The servers that run, as they say themselves.
    pub async fn roles(&self) -> Vec<Member> {
        let mut roles = Vec::new();
        for index in self.running() {
            let id = self.ask(index, cmd("CLUSTER").arg("MYID")).await;
            let role: Vec<Value> = self.ask(index, &cmd("ROLE")).await;
            let is_primary = matches!(&role[0], Value::BulkString(role) if role == b"master");
            roles.push(Member { index, id, is_primary });
        }
        roles
    }

    /// The primary that has a key's slot by its own account, and the slot.
    pub async fn owner(&self, key: &str) -> Option<(Member, u16)> {
        let roles = self.roles().await;
        let slot: u16 = self.ask(roles[0].index, cmd("CLUSTER").arg("KEYSLOT").arg(key)).await;
        for member in roles.into_iter().filter(|member| member.is_primary) {
            let ranges: Vec<Vec<Value>> = self.ask(member.index, cmd("CLUSTER").arg("SLOTS")).await;
            let port = i64::from(self.members[member.index].port());
            if ranges.iter().any(|range| has(range, slot, port)) {
                return Some((member, slot));
            }
        }
        None
    }

    /// Begins to move a slot: from now on its keys are to be asked for at either server.
    pub async fn begin_move(&self, slot: u16, from: &Member, to: &Member) {
        let set = |state: &str, id: &str| cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(state).arg(id).take();
        self.ask::<()>(to.index, &set("IMPORTING", &from.id)).await;
        self.ask::<()>(from.index, &set("MIGRATING", &to.id)).await;
    }

    /// Moves one key to where its slot goes; whether it was there to be moved.
    pub async fn move_key(&self, key: &str, from: &Member, to: &Member) -> bool {
        let port = self.members[to.index].port();
        let mut migrate = cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(port).arg("").arg(0).arg(5_000).arg("AUTH").arg(&self.password);
        self.ask::<String>(from.index, migrate.arg("KEYS").arg(key)).await == "OK"
    }

    /// Moves what is left of a slot, and hands the slot over. Nothing is added to it meanwhile: what is new is made
    /// where the slot goes.
    pub async fn end_move(&self, slot: u16, from: &Member, to: &Member) {
        let keys = cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(1).take();
        while let [key] = self.ask::<Vec<String>>(from.index, &keys).await.as_slice() {
            self.move_key(key, from, to).await;
        }
        let hand_over = cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("NODE").arg(&to.id).take();
        self.ask::<()>(to.index, &hand_over).await;
        self.ask::<()>(from.index, &hand_over).await;
    }

    /// Has a replica take over from its primary in an orderly way.
    pub async fn fail_over(&self, replica: &Member) {
        self.ask::<()>(replica.index, cmd("CLUSTER").arg("FAILOVER")).await;
    }

    /// Waits until a replica has taken over the slot of a key, and everybody knows.
    pub async fn until_owned(&self, key: &str, replica: &Member) {
        self.until("the replica takes over", async || {
            self.owner(key).await.is_some_and(|(owner, _)| owner.index == replica.index)
        })
        .await;
        self.until_well().await;
    }

    /// The replica of a primary.
    pub async fn replica_of(&self, primary: &Member) -> Member {
        let port = i64::from(self.members[primary.index].port());
        for member in self.roles().await.into_iter().filter(|member| !member.is_primary) {
            let role: Vec<Value> = self.ask(member.index, &cmd("ROLE")).await;
            if role[2] == Value::Int(port) {
                return member;
            }
        }
        fail(&"it has no replica")
    }

    /// How often the servers answered this error so far.
    pub async fn errors(&self, code: &str) -> u64 {
        let mut errors = 0;
        for index in self.running() {
            let stats: String = self.ask(index, cmd("INFO").arg("errorstats")).await;
            let count = stats.lines().find_map(|line| line.strip_prefix(&format!("errorstat_{code}:count=")));
            errors += count.map_or(0, |count| number(count.trim_end()));
        }
        errors
    }
}

fn number<T: std::str::FromStr<Err: Display>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| fail(&error))
}

/// Each primary's slots.
fn ranges() -> Vec<(u16, u16)> {
    let bounds = [0, SLOTS / 3, SLOTS * 2 / 3, SLOTS];
    bounds.windows(2).map(|ends| (ends[0], ends[1] - 1)).collect()
}

fn has(range: &[Value], slot: u16, port: i64) -> bool {
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = range else { return false };
    (*first..=*last).contains(&i64::from(slot)) && primary.get(1) == Some(&Value::Int(port))
}
