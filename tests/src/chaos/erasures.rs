//! An owner who writes like the others and asks again and again for the erasure of it all; in the end nothing of it is left.

mod knowledge;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use conversation_core::{ConversationStore, Limit, OwnerId};
use fastrand::Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Broken;
use crate::traces::{Log, in_file, in_postgres, in_redis, start_log};

use super::check::Violation;
use super::clients::ended;
use super::failovers::Failovers;
use super::options::Options;
use super::record::Record;
use super::servers::Servers;
use knowledge::Knowledge;
use writer::Writer;

/// How many clients that owner has, each with a way of its own to the servers: one erases, the others write.
pub(super) const CLIENTS: usize = 3;
/// Whose data they are. The name is no trace: who had erased what is still known by it.
const OWNER: &str = "erin";
/// The table in which the run notes what Postgres did.
const HISTORY: &str = "history";
/// Longer than a run: what a failover undoes of the last removal would stay until its time to live ends.
const AFTER_THE_RUN: Duration = Duration::from_secs(86_400);

/// The clients of that owner.
#[derive(Debug)]
pub(super) struct Erasures {
    owner: OwnerId,
    /// What stands in everything that they write.
    canary: String,
    knowledge: Arc<Knowledge>,
    clients: Vec<JoinHandle<()>>,
    log: &'static Log,
}

/// The same store, for sweeps while things go wrong: they remove what was erased, but for the last of it.
pub(super) fn during_the_run(store: ConversationStore) -> ConversationStore {
    store.settling(AFTER_THE_RUN)
}

impl Erasures {
    /// Begins to write and to erase, by the ways from `first` on.
    pub(super) fn begin(
        options: &Options,
        servers: &Servers,
        first: usize,
        began: Instant,
        records: UnboundedSender<Record>,
    ) -> Result<Self, Broken> {
        let owner = OwnerId::new(OWNER)?;
        let canary = format!("canary{}", uuid::Uuid::now_v7().simple());
        let knowledge = Arc::new(Knowledge::new(began, records));
        let mut erasures = Self { owner, canary, knowledge, clients: Vec::new(), log: start_log()? };
        for at in 0..CLIENTS {
            let (database_url, redis_url) = servers.urls(first + at);
            let store = options.profile.store_at(&database_url, &redis_url);
            let client = erasures.client(at, store, options.seed);
            erasures.clients.push(client);
        }
        Ok(erasures)
    }

    fn client(&self, at: usize, store: ConversationStore, seed: u64) -> JoinHandle<()> {
        let mut rng = Rng::with_seed(seed ^ 0xe4a5e ^ (at as u64) << 32);
        let (owner, knowledge) = (self.owner.clone(), Arc::clone(&self.knowledge));
        if at > 0 {
            let writer = Writer::new(rng, owner, store, knowledge, format!("{}-{at}", self.canary));
            return tokio::spawn(writer.work());
        }
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_millis(rng.u64(300..2_000))).await;
                // Less than it may need.
                let until = Instant::now() + Duration::from_millis(rng.u64(0..2_000));
                let begun = knowledge.begin_erasure();
                knowledge.end_erasure(begun, store.erase_owner(&owner, "owner", until).await.map(drop));
            }
        })
    }

    /// Stops the clients, wherever they are.
    pub(super) async fn end(&mut self) -> Result<(), Broken> {
        for client in self.clients.drain(..) {
            client.abort();
            ended(client).await?;
        }
        Ok(())
    }

    /// What readers saw of what was erased, unless a failover excuses it; and how many reads one did.
    pub(super) fn seen(&self, failovers: &Failovers) -> (Vec<Violation>, usize) {
        self.knowledge.seen(failovers)
    }

    /// When all is quiet: erases once more, removes the last of it, and looks for traces. Until `stale_until` what was erased before
    /// a failover that nobody saw may still be read.
    pub(super) async fn leave_nothing(
        &self,
        store: &ConversationStore,
        servers: &Servers,
        stale_until: Instant,
    ) -> Result<Vec<Violation>, Broken> {
        let until = Instant::now() + Duration::from_secs(20);
        let erased = store.erase_owner(&self.owner, "owner", until).await?;
        sleep_until(stale_until).await;
        let mut violations = self.is_gone(store, "when it was erased").await?;
        let store = store.clone().settling(Duration::ZERO);
        let mut sweeps = 0;
        while store.sweep(Duration::from_secs(5)).await?.unfinished
            || store.index().erasures().await?.iter().any(|erasure| erasure.completed_at.is_none())
        {
            sweeps += 1;
            if sweeps == 20 {
                return Err(format!("sweeps do not end {erased:?}").into());
            }
        }
        violations.extend(self.is_gone(&store, "after the sweep").await?);
        let url = servers.database_url();
        let mut traces = in_postgres(&servers.tools, url, &self.canary, HISTORY)?;
        traces.extend(in_redis(&mut servers.redis().await?, &self.canary).await?);
        traces.extend(self.log.lines_with(&self.canary)?);
        traces.extend(in_file(servers.postgres.log().ok_or("Postgres has no log")?, &self.canary)?);
        violations
            .extend(traces.into_iter().map(|trace| self.violation(format!("a trace is left: {trace}"))));
        // What finds nothing anywhere would find nothing here.
        if in_postgres(&servers.tools, url, &self.canary, "none")? != [format!("public.{HISTORY}")] {
            violations.push(self.violation("the search for traces finds none where there are some".into()));
        }
        Ok(violations)
    }

    /// What is still answered.
    async fn is_gone(&self, store: &ConversationStore, when: &str) -> Result<Vec<Violation>, Broken> {
        let mut answered = Vec::new();
        for key in self.knowledge.all(&self.owner) {
            let window = store.recent(&key, Limit::MAX, None).await?;
            let row = store.get(&key, None).await?;
            if window.found.is_some() || row.found.is_some() {
                answered.push(format!("{} is there {when}: {:?}, {:?}", key.id, window.source, row.source));
            }
        }
        let page = store.index().export_page(&self.owner, None, usize::MAX, str::len).await?;
        if !page.lines.is_empty() {
            answered.push(format!("{when} there is an export of {} bytes", page.lines.len()));
        }
        let (stats, _) = store.index().owner(&self.owner).await?;
        if stats != conversation_core::OwnerStats::default() {
            answered.push(format!("{when} the owner has {stats:?}"));
        }
        Ok(answered.into_iter().map(|what| self.violation(what)).collect())
    }

    fn violation(&self, what: String) -> Violation {
        Violation { conversation: self.owner.as_str().to_owned(), what }
    }
}
