//! Redis: one typed method for each step of the protocol, and the only user of Redis commands.
//!
//! A method either did its step or says that it may not have; none is tried again blindly. Only look, begin and lease
//! are tried once more, when the connection turns out to be closed: the first changes nothing, and the others, sent
//! again under another name, leave nothing behind but one that nobody goes by.

mod access;
mod cluster;
mod connection;
mod fault;
mod inspect;
mod key;
mod look;
mod node;
mod request;
mod slots;
mod survey;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Script, ScriptInvocation};
use uuid::Uuid;

use crate::conversation::ConversationKey;
use crate::message::Message;
use crate::page::Limit;
use crate::snapshot::{Fencing, Snapshot, WINDOW};

pub(crate) use access::Access;
pub(crate) use connection::Connection;
pub use fault::CacheError;
use key::{CHECK_BY, Keys, LEASED_TTL, PRESUMED_DEAD, TTL, millis};
pub use look::Miss;
use look::Seen;
pub(crate) use look::{Cached, Look};
use request::Request;
pub(crate) use survey::{Forsaken, Surveyed};

/// The entries and windows of conversations, reached through a connection that is opened when first needed.
#[derive(Clone)]
pub(crate) struct Cache {
    connection: Arc<Connection>,
    prefix: Arc<str>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A script: hashed when it is first needed, since a function needs few of them.
macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("cache/prelude.lua"), include_str!(concat!("cache/", $file))))
        });
    };
}

script!(BEGIN, "begin.lua");
script!(PUBLISH, "publish.lua");
script!(LEASE, "lease.lua");
script!(FILL, "fill.lua");
script!(BURY, "bury.lua");
script!(DROP, "drop.lua");
script!(WITHDRAW, "withdraw.lua");

/// The field that marks one attempt of one write.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    operation: Uuid,
    attempt: u32,
}

impl Fence {
    pub(crate) fn new() -> Self {
        Self { operation: Uuid::now_v7(), attempt: 0 }
    }

    /// The fence of the operation's next attempt.
    pub(crate) fn next(&self) -> Self {
        Self { operation: self.operation, attempt: self.attempt + 1 }
    }

    fn field(&self) -> String {
        format!("fence:{}:{}", self.operation.simple(), self.attempt)
    }
}

/// A fence that is set, and what begin learned.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    fence: Fence,
    replid: String,
    epoch: Option<i64>,
    certified: bool,
    complete: bool,
}

impl Begun {
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(crate) fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// What the commit needs to know of it.
    pub(crate) fn fencing(&self) -> Fencing {
        Fencing::Fenced { epoch: self.epoch, certified: self.certified, complete: self.complete }
    }
}

/// The answer to a reader that asks to fill an entry.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) granted: bool,
    pub(crate) epoch: Option<i64>,
    pub(crate) version: Option<i64>,
    pub(crate) certified: bool,
    pub(crate) dead_fences: i64,
    pub(crate) live_fences: i64,
    token: String,
    fences: Vec<String>,
}

/// What the cache made of what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The next read hits.
    Certified,
    /// The facts were kept, and a certificate that stood still stands.
    Merged,
    /// Something newer is there, or the conversation was deleted.
    Not,
}

impl Cache {
    pub(crate) fn new(connection: Connection, prefix: &str) -> Self {
        Self { connection: Arc::new(connection), prefix: prefix.into() }
    }

    /// Whether every server that has keys answers.
    pub(crate) async fn ping(&self) -> Result<(), CacheError> {
        for (_, node) in self.connection.primaries().await? {
            node.ask::<String>(&Request::Command(redis::cmd("PING")), false).await?;
        }
        Ok(())
    }

    /// Looks at an entry and, unless `limit` is none, at the newest messages of its window, in one round trip of plain
    /// commands. The server's role and replication id come in the same transaction as the entry: a connection survives
    /// a promotion, so what was learned when it was opened proves nothing.
    pub(crate) async fn look(
        &self,
        key: &ConversationKey,
        limit: Option<Limit>,
        min_version: Option<i64>,
    ) -> Result<Look, CacheError> {
        let keys = self.keys(key);
        let request = Request::Transaction(look_commands(&keys, limit));
        let seen: Seen = match self.connection.ask(&request, &keys.entry).await {
            Err(CacheError::Closed(_)) => self.connection.ask(&request, &keys.entry).await?,
            seen => seen?,
        };
        Ok(look::judge(seen, limit, min_version))
    }

    /// Sets a write's fence, and takes the last attempt's away. Where the connection turns out to be closed the fence
    /// may have been set, or be set yet, after everything else: then another is set in its place.
    pub(crate) async fn begin(
        &self,
        key: &ConversationKey,
        fence: Fence,
        refused_epoch: Option<i64>,
        previous: Option<&Fence>,
    ) -> Result<Begun, CacheError> {
        // What a reader would rather not wait for again a write has to: others may reach the server, and would go on
        // to read from it what was before.
        self.connection.wake(&self.keys(key).entry).await;
        let over: Vec<&Fence> = previous.into_iter().collect();
        match self.begin_once(key, fence.clone(), refused_epoch, &over).await {
            Err(CacheError::Closed(_)) => {
                let over = [over.as_slice(), &[&fence]].concat();
                self.begin_once(key, fence.next(), refused_epoch, &over).await
            }
            answer => answer,
        }
    }

    async fn begin_once(
        &self,
        key: &ConversationKey,
        fence: Fence,
        refused_epoch: Option<i64>,
        over: &[&Fence],
    ) -> Result<Begun, CacheError> {
        let keys = self.keys(key);
        let mut call = invocation(&BEGIN, &keys, TTL);
        call.arg(fence.field()).arg(optional(refused_epoch));
        for fence in over {
            call.arg(fence.field());
        }
        let (epoch, certified, complete, replid): (String, bool, bool, String) =
            self.invoke(&BEGIN, call, &keys).await?;
        Ok(Begun { fence, replid, epoch: epoch.parse().ok(), certified, complete })
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
        let mut call = invocation(&PUBLISH, &keys, TTL);
        call.arg(begun.fence.field()).arg(&begun.replid);
        push_snapshot(&mut call, snapshot);
        push_elements(&mut call, snapshot.window.as_deref().unwrap_or(added));
        self.invoke(&PUBLISH, call, &keys).await
    }

    /// Takes away the fence of a write that was certainly not committed.
    pub(crate) async fn withdraw(&self, key: &ConversationKey, fence: &Fence) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let mut call = invocation(&WITHDRAW, &keys, TTL);
        call.arg(fence.field());
        self.invoke::<i64>(&WITHDRAW, call, &keys).await.map(drop)
    }

    /// Asks to be the one that fills an entry, unless it bears another certificate than was seen; asked again, under
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
        let mut call = invocation(&LEASE, &keys, LEASED_TTL);
        call.arg(&token).arg(millis(PRESUMED_DEAD)).arg(seen.unwrap_or_default());
        let reply: LeaseReply = self.invoke(&LEASE, call, &keys).await?;
        let (granted, epoch, version, certified, dead_fences, live_fences, fences) = reply;
        let (epoch, version) = (epoch.parse().ok(), version.parse().ok());
        Ok(Lease { granted, epoch, version, certified, dead_fences, live_fences, token, fences })
    }

    /// Warms an entry with what was read under a lease.
    pub(crate) async fn fill(
        &self,
        key: &ConversationKey,
        lease: &Lease,
        snapshot: &Snapshot,
    ) -> Result<Stored, CacheError> {
        let keys = self.keys(key);
        let mut call = invocation(&FILL, &keys, TTL);
        call.arg(&lease.token);
        push_snapshot(&mut call, snapshot);
        call.arg(lease.fences.len()).arg(&lease.fences);
        push_elements(&mut call, snapshot.window.as_deref().unwrap_or_default());
        self.invoke(&FILL, call, &keys).await
    }

    /// Gives a lease back that has nothing to fill.
    pub(crate) async fn release(&self, key: &ConversationKey) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let request = Request::Command(Cmd::hdel(&keys.entry, &["lease", "leased"]));
        self.connection.ask::<i64>(&request, &keys.entry).await.map(drop)
    }

    /// Marks a conversation deleted.
    pub(crate) async fn bury(&self, key: &ConversationKey, version: i64) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let mut call = invocation(&BURY, &keys, TTL);
        call.arg(version);
        self.invoke::<i64>(&BURY, call, &keys).await.map(drop)
    }

    /// Drops an entry that is ahead of Postgres, if it still has the epoch that was seen.
    pub(crate) async fn drop_ahead(
        &self,
        key: &ConversationKey,
        epoch: Option<i64>,
    ) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let mut call = invocation(&DROP, &keys, TTL);
        call.arg(optional(epoch));
        self.invoke::<i64>(&DROP, call, &keys).await.map(drop)
    }

    /// Forgets a conversation. A full server still does this.
    pub(crate) async fn invalidate(&self, key: &ConversationKey) -> Result<(), CacheError> {
        let keys = self.keys(key);
        let request = Request::Command(Cmd::del(&[&keys.entry, &keys.messages]));
        self.connection.ask::<i64>(&request, &keys.entry).await.map(drop)
    }

    fn keys(&self, key: &ConversationKey) -> Keys {
        Keys::of(&self.prefix, key)
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        script: &Script,
        call: ScriptInvocation<'_>,
        keys: &Keys,
    ) -> Result<T, CacheError> {
        self.connection.ask(&Request::Script(script, call), &keys.entry).await
    }
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
    let entry = [redis::cmd("INFO").arg("replication").take(), redis::cmd("TIME"), Cmd::hgetall(&keys.entry)];
    entry.into_iter().chain(window).collect()
}

/// granted, epoch, version, certified, dead fences, live fences, the fences' fields
type LeaseReply = (bool, String, String, bool, i64, i64, Vec<String>);

fn invocation<'a>(script: &'a Script, keys: &Keys, ttl: Duration) -> ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    call.key(&keys.entry).key(&keys.messages).arg(millis(ttl));
    call
}

/// What publish and fill say of the row, in their order.
fn push_snapshot(call: &mut ScriptInvocation<'_>, snapshot: &Snapshot) {
    let conversation = &snapshot.conversation;
    call.arg(snapshot.epoch)
        .arg(u8::from(snapshot.took_epoch))
        .arg(millis(CHECK_BY))
        .arg(conversation.version)
        .arg(snapshot.first_seq)
        .arg(conversation.message_count)
        .arg(conversation.to_json());
}

fn push_elements(call: &mut ScriptInvocation<'_>, messages: &[Message]) {
    for message in messages {
        call.arg(message.element());
    }
}

fn optional(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

impl FromRedisValue for Stored {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        Ok(match String::from_redis_value(value)?.as_str() {
            "certified" => Self::Certified,
            "merged" => Self::Merged,
            _ => Self::Not,
        })
    }
}
