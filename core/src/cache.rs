//! Redis: one typed method for each step of the protocol, and the only user of Redis commands.
//!
//! A method either did its step or says that it may not have; none is tried again blindly. Once more are tried, when the
//! connection turns out to be closed: what changes nothing, what may be done twice or late, and begin and lease, which then
//! go under another name and leave nothing behind but one that nobody goes by.

mod client;
mod inspect;
mod intent;
mod key;
mod lookup;
mod probe;
mod scan;

use crate::types::error::CacheError;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::types::conversation::ConversationKey;
use crate::types::message::Message;
use crate::types::page::Limit;
use crate::types::snapshot::{Snapshot, WINDOW, Window};

use client::{Call, Request, Script};
pub(crate) use client::{ConnectOptions, Connection};
pub(crate) use intent::{Begun, Intent};
pub use key::UNIDENTIFIED_VALIDITY;
use key::{Keys, LEASED_TTL, PRESUMED_DEAD, TTL, VALIDITY, millis};
use lookup::RawReply;
pub(crate) use lookup::{Cached, Lookup};
pub(crate) use scan::{OrphanedIntents, ScanResult};

/// The entries and windows of conversations, reached through a connection that is opened when first needed.
#[derive(Clone)]
pub(crate) struct Cache {
    connection: Arc<Connection>,
    prefix: Arc<str>,
    clock: Clock,
    /// Whether servers are asked who they are. Where they do not say, failovers go unnoticed.
    asks_identity: bool,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A script: hashed when it is first needed, since a function needs few of them.
macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("cache/scripts/prelude.lua"),
                $(include_str!(concat!("cache/scripts/", $file))),+
            ))
        });
    };
}

script!(BEGIN, "begin.lua");
script!(PUBLISH, "window.lua", "publish.lua");
script!(LEASE, "lease.lua");
script!(FILL, "window.lua", "fill.lua");
script!(WRITE_TOMBSTONE, "write_tombstone.lua");
script!(DROP, "drop.lua");
script!(WITHDRAW, "withdraw.lua");

/// The answer to a reader that asks to fill an entry.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) granted: bool,
    pub(crate) epoch: Option<i64>,
    pub(crate) version: Option<i64>,
    pub(crate) valid: bool,
    pub(crate) dead_intents: i64,
    pub(crate) live_intents: i64,
    token: String,
    intents: Vec<String>,
}

/// What the cache made of what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The next read hits.
    Validated,
    /// The facts were kept, and a validity marker that stood still stands.
    Merged,
    /// Something newer is there, or the conversation was deleted.
    Rejected,
}

impl Cache {
    pub(crate) fn new(connection: Connection, config: &CacheConfig) -> Self {
        Self {
            connection: Arc::new(connection),
            prefix: config.key_prefix().into(),
            clock: config.clock.clone(),
            asks_identity: !config.serverless,
        }
    }

    /// Whether every server that has keys answers.
    pub(crate) async fn ping(&self) -> Result<(), CacheError> {
        for (_, node) in self.connection.primaries().await? {
            node.ask_again::<String>(&Request::Command(redis::cmd("PING"))).await?;
        }
        Ok(())
    }

    /// Looks at an entry and, unless `limit` is none, at the newest messages of its window, in one round trip of plain
    /// commands. The server's role and replication id come right behind them: a connection survives a promotion, so what
    /// was learned when it was opened proves nothing; and a server that is a primary under some id has been so without a
    /// break since it took that id, so what it had just before is what a primary had. CallStats in front, it would not do.
    pub(crate) async fn lookup(
        &self,
        key: &ConversationKey,
        limit: Option<Limit>,
        min_version: Option<i64>,
    ) -> Result<Lookup, CacheError> {
        let keys = self.keys(key);
        let seen = self.see(&keys, look_commands(&keys, limit)).await?;
        Ok(lookup::evaluate(seen, limit, min_version))
    }

    /// Runs the commands of a look in a transaction, and asks who answered.
    async fn see(&self, keys: &Keys, commands: Vec<Cmd>) -> Result<RawReply, CacheError> {
        let (replies, replication): (Vec<Value>, Option<String>) = if self.asks_identity {
            let request = Request::TransactionThen(commands, identity());
            self.connection.ask_again(&request, &keys.entry).await?
        } else {
            (self.connection.ask_again(&Request::Transaction(commands), &keys.entry).await?, None)
        };
        RawReply::of(replies, replication, self.clock.now_ms())
    }

    /// Sets a write's intent, and takes the last attempt's away. Where the connection turns out to be closed the intent
    /// may have been set, or be set yet, after everything else: then another is set in its place.
    pub(crate) async fn begin(
        &self,
        key: &ConversationKey,
        intent: Intent,
        refused_epoch: Option<i64>,
        previous: Option<&Intent>,
    ) -> Result<Begun, CacheError> {
        // What a reader would rather not wait for again a write has to: others may reach the server, and would go on
        // to read from it what was before.
        self.connection.reset(&self.keys(key).entry).await;
        let over: Vec<&Intent> = previous.into_iter().collect();
        match self.begin_once(key, intent.clone(), refused_epoch, &over).await {
            Err(CacheError::Closed(_)) => {
                let over = [over.as_slice(), &[&intent]].concat();
                self.begin_once(key, intent.next(), refused_epoch, &over).await
            }
            answer => answer,
        }
    }

    async fn begin_once(
        &self,
        key: &ConversationKey,
        intent: Intent,
        refused_epoch: Option<i64>,
        over: &[&Intent],
    ) -> Result<Begun, CacheError> {
        let keys = self.keys(key);
        let mut call = self.call(&BEGIN, &keys, TTL);
        call.arg(intent.field()).arg(optional(refused_epoch));
        for intent in over {
            call.arg(intent.field());
        }
        let (epoch, valid, complete, replid): (String, bool, bool, String) = self.invoke(call, &keys).await?;
        Ok(Begun { intent, replid, epoch: epoch.parse().ok(), valid, complete })
    }

    /// Sets the intent of a write of many conversations, whose commit goes by epochs that Postgres answered before, and
    /// learns nothing of the entry: this costs the server a fraction of [`Cache::begin`]. Where the connection turns out to be
    /// closed it is set again: one that comes late is an orphan, which nobody publishes under.
    pub(crate) async fn place_intent(
        &self,
        key: &ConversationKey,
        intent: &Intent,
    ) -> Result<(), CacheError> {
        let keys = self.keys(key);
        self.connection.reset(&keys.entry).await;
        let commands = vec![
            Cmd::hset(&keys.entry, intent.field(), self.clock.now_ms()),
            redis::cmd("PEXPIRE").arg(&keys.entry).arg(millis(TTL)).take(),
        ];
        self.connection.ask_again::<Value>(&Request::Transaction(commands), &keys.entry).await.map(drop)
    }

    /// Brings a commit into the cache. `added` are its own messages; the snapshot's window, if it has one, stands for
    /// all of them.
    pub(crate) async fn publish(
        &self,
        key: &ConversationKey,
        begun: &Begun,
        snapshot: &Snapshot,
        added: &[Message],
    ) -> Result<Stored, CacheError> {
        let keys = self.keys(key);
        let mut call = self.call(&PUBLISH, &keys, TTL);
        call.arg(begun.intent.field()).arg(&begun.replid);
        push_snapshot(&mut call, snapshot);
        match &snapshot.window {
            Some(Window { bare, messages }) => push_elements(&mut call, bare, messages),
            None => push_elements(&mut call, &[], added),
        }
        self.invoke(call, &keys).await
    }

    /// Takes away the intent of a write that was certainly not committed.
    pub(crate) async fn withdraw(&self, key: &ConversationKey, intent: &Intent) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let mut call = self.call(&WITHDRAW, &keys, TTL);
        call.arg(intent.field());
        self.invoke::<i64>(call, &keys).await.map(drop)
    }

    /// Asks to be the one that fills an entry, unless it bears another validity marker than was seen; asked again, under
    /// another token.
    pub(crate) async fn lease(&self, key: &ConversationKey, seen: Option<&str>) -> Result<Lease, CacheError> {
        match self.lease_once(key, seen).await {
            Err(CacheError::Closed(_)) => self.lease_once(key, seen).await,
            answer => answer,
        }
    }

    async fn lease_once(&self, key: &ConversationKey, seen: Option<&str>) -> Result<Lease, CacheError> {
        let keys = self.keys(key);
        let token = Uuid::now_v7().simple().to_string();
        let mut call = self.call(&LEASE, &keys, LEASED_TTL);
        call.arg(&token).arg(millis(PRESUMED_DEAD)).arg(seen.unwrap_or_default());
        let reply: LeaseReply = self.invoke(call, &keys).await?;
        let (granted, epoch, version, valid, dead_intents, live_intents, intents) = reply;
        let (epoch, version) = (epoch.parse().ok(), version.parse().ok());
        Ok(Lease { granted, epoch, version, valid, dead_intents, live_intents, token, intents })
    }

    /// Warms an entry with what was read under a lease.
    pub(crate) async fn fill(
        &self,
        key: &ConversationKey,
        lease: &Lease,
        snapshot: &Snapshot,
    ) -> Result<Stored, CacheError> {
        let keys = self.keys(key);
        let mut call = self.call(&FILL, &keys, TTL);
        call.arg(&lease.token);
        push_snapshot(&mut call, snapshot);
        call.arg(lease.intents.len()).arg(&lease.intents);
        if let Some(Window { bare, messages }) = &snapshot.window {
            push_elements(&mut call, bare, messages);
        }
        self.invoke(call, &keys).await
    }

    /// Gives a lease back that has nothing to fill.
    pub(crate) async fn release(&self, key: &ConversationKey) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let request = Request::Command(Cmd::hdel(&keys.entry, &["lease", "leased"]));
        self.connection.ask::<i64>(&request, &keys.entry).await.map(drop)
    }

    /// Marks a conversation deleted.
    pub(crate) async fn write_tombstone(
        &self,
        key: &ConversationKey,
        version: i64,
    ) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let mut call = self.call(&WRITE_TOMBSTONE, &keys, TTL);
        call.arg(version);
        self.invoke::<i64>(call, &keys).await.map(drop)
    }

    /// Drops an entry that is ahead of Postgres, if it still has the epoch that was seen.
    pub(crate) async fn drop_ahead(
        &self,
        key: &ConversationKey,
        epoch: Option<i64>,
    ) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let mut call = self.call(&DROP, &keys, TTL);
        call.arg(optional(epoch));
        self.invoke::<i64>(call, &keys).await.map(drop)
    }

    /// Forgets a conversation. A full server still does this.
    pub(crate) async fn invalidate(&self, key: &ConversationKey) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let request = Request::Command(Cmd::del(&[&keys.entry, &keys.messages]));
        self.connection.ask_again::<i64>(&request, &keys.entry).await.map(drop)
    }

    fn keys(&self, key: &ConversationKey) -> Keys {
        Keys::of(&self.prefix, key)
    }

    /// A call of a script with the arguments that all of them take.
    fn call(&self, script: &'static Script, keys: &Keys, ttl: Duration) -> Call {
        let mut call = script.call([&keys.entry, &keys.messages]);
        call.arg(millis(ttl))
            .arg(self.clock.now_ms())
            .arg(millis(VALIDITY))
            .arg(millis(UNIDENTIFIED_VALIDITY))
            .arg(u8::from(self.asks_identity));
        call
    }

    async fn invoke<T: FromRedisValue>(&self, call: Call, keys: &Keys) -> Result<T, CacheError> {
        self.connection.ask(&Request::Script(call), &keys.entry).await
    }
}

/// Asks a server for its role and its replication id.
fn identity() -> Cmd {
    redis::cmd("INFO").arg("replication").take()
}

/// What a look asks. How long the window is needs no command of its own where all of it is asked for, and one element more:
/// each command costs the server as much as a few elements.
fn look_commands(keys: &Keys, limit: Option<Limit>) -> Vec<Cmd> {
    let newest = |count: usize| Cmd::lrange(&keys.messages, -count.cast_signed(), -1);
    let window = match limit {
        Some(Limit::MAX) => vec![newest(WINDOW + 1)],
        Some(limit) => vec![newest(limit.get()), Cmd::llen(&keys.messages)],
        None => vec![],
    };
    std::iter::once(Cmd::hgetall(&keys.entry)).chain(window).collect()
}

/// granted, epoch, version, valid, dead intents, live intents, the intents' fields
type LeaseReply = (bool, String, String, bool, i64, i64, Vec<String>);

/// What publish and fill say of the row, in their order.
fn push_snapshot(call: &mut Call, snapshot: &Snapshot) {
    let conversation = &snapshot.conversation;
    call.arg(snapshot.epoch)
        .arg(u8::from(snapshot.took_epoch))
        .arg(conversation.version)
        .arg(snapshot.first_seq)
        .arg(conversation.message_count)
        .arg(conversation.to_json());
}

/// The elements of a window: positions alone, then messages; of these, too, only the position where all of them would be
/// more than a window holds.
fn push_elements(call: &mut Call, bare: &[i64], messages: &[Message]) {
    for seq in bare {
        call.arg(seq);
    }
    let (too_much, fitting) = messages.split_at(messages.len() - Window::fitting(messages));
    for message in too_much {
        call.arg(message.seq());
    }
    for message in fitting {
        call.arg(message.element());
    }
}

fn optional(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

impl FromRedisValue for Stored {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        Ok(match String::from_redis_value(value)?.as_str() {
            "validated" => Self::Validated,
            "merged" => Self::Merged,
            _ => Self::Rejected,
        })
    }
}
