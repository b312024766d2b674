//! Looking for intents whose writer died, in conversations that nobody reads: a reader would have found them.

use super::client::{Node, Request};
use crate::types::error::CacheError;
use std::collections::HashMap;

use redis::Cmd;
use tokio::time::Instant;

use crate::types::conversation::ConversationKey;

use super::Cache;
use super::key::{Keys, PRESUMED_DEAD, entries, millis};

/// How many keys a server is asked to go through at a time: for less than a millisecond.
const BATCH: usize = 500;
/// How many batches are taken at a server before the next one has its turn, the rest being left for another time.
const BATCHES: u32 = 20;
/// How long a server remembers how far it was gone through, in milliseconds.
const REMEMBERED: i64 = 24 * 60 * 60 * 1_000;

/// How many entries of a batch are audited.
const SAMPLED: usize = 5;

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct ScanResult {
    /// Entries with intents that nobody will take away any more.
    pub(crate) orphaned: Vec<OrphanedIntents>,
    /// Some of all entries.
    pub(crate) sampled: Vec<ConversationKey>,
    /// Servers that could not be gone through.
    pub(crate) servers_failed: usize,
}

/// An entry with intents that nobody will take away any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrphanedIntents {
    pub(crate) key: ConversationKey,
    pub(crate) intents: usize,
}

impl Cache {
    /// Goes through some thousands of entries on every server, from where it stopped the last time, and answers those
    /// with dead intents, and some of all. A server that fails is left for the next time.
    pub(crate) async fn scan(&self, until: Instant) -> Result<ScanResult, CacheError> {
        let mut found = ScanResult::default();
        for (server, node) in self.connection.primaries().await? {
            if let Err(error) = self.scan_server(&server, &node, until, &mut found).await {
                tracing::error!(server, %error, "cannot look for dead intents");
                found.servers_failed += 1;
            }
        }
        Ok(found)
    }

    pub(super) async fn scan_server(
        &self,
        server: &str,
        node: &Node,
        until: Instant,
        found: &mut ScanResult,
    ) -> Result<(), CacheError> {
        let mut cursor = self.cursor(server).await?;
        let now = self.clock.now_ms();
        for _ in 0..BATCHES {
            cursor = self.batch(node, cursor, now, found).await?;
            // 0 is the end, and the beginning.
            if cursor == 0 || Instant::now() >= until {
                break;
            }
        }
        self.set_cursor(server, cursor).await
    }

    async fn batch(
        &self,
        node: &Node,
        cursor: u64,
        now: u64,
        found: &mut ScanResult,
    ) -> Result<u64, CacheError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(entries(&self.prefix))
            .arg("COUNT")
            .arg(BATCH)
            .arg("TYPE")
            .arg("hash");
        let (next, names): (u64, Vec<String>) = node.ask_again(&Request::Command(scan)).await?;
        if names.is_empty() {
            return Ok(next);
        }
        // They come in the order of their hashes, which is none.
        found
            .sampled
            .extend(names.iter().take(SAMPLED).filter_map(|name| Keys::conversation(&self.prefix, name)));
        let intents = names.iter().map(|name| {
            redis::cmd("HSCAN").arg(name).arg(0).arg("MATCH").arg("intent:*").arg("COUNT").arg(BATCH).take()
        });
        let intents = Request::Pipeline(intents.collect());
        let intents: Vec<(u64, HashMap<String, u64>)> = node.ask_again(&intents).await?;
        for (name, (_, intents)) in names.iter().zip(intents) {
            let is_dead = |since: &&u64| since.abs_diff(now) > millis(PRESUMED_DEAD);
            let dead = intents.values().filter(is_dead).count();
            if let Some(key) = Keys::conversation(&self.prefix, name).filter(|_| dead > 0) {
                found.orphaned.push(OrphanedIntents { key, intents: dead });
            }
        }
        Ok(next)
    }

    async fn cursor(&self, server: &str) -> Result<u64, CacheError> {
        let name = self.cursors();
        let cursor: Option<u64> =
            self.connection.ask_again(&Request::Command(Cmd::hget(&name, server)), &name).await?;
        Ok(cursor.unwrap_or(0))
    }

    async fn set_cursor(&self, server: &str, cursor: u64) -> Result<(), CacheError> {
        let name = self.cursors();
        let remember = vec![Cmd::hset(&name, server, cursor), Cmd::pexpire(&name, REMEMBERED)];
        self.connection.ask_again::<(i64, i64)>(&Request::Transaction(remember), &name).await.map(drop)
    }

    /// No conversation has this key: theirs go on with a brace. It begins as theirs do, so that whoever may use those may
    /// use it.
    fn cursors(&self) -> String {
        format!("{}conversation:sweep", self.prefix)
    }
}
