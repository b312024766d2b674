//! The protocols that are usual. A harness that does not catch them proves nothing about a better one.

use std::time::Duration;

use conversation_core::{ConversationKey, ConversationStore, Error, Limit, Miss, Source};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, RedisResult, Script};

use crate::{Broken, store_at};

use super::options::Protocol;
use super::record::{FULL, Named, named};

/// Nobody listens there: a store that uses it works on Postgres alone.
const NOWHERE: &str = "redis://127.0.0.1:1/";
const PATIENCE: Duration = Duration::from_millis(300);

/// Elements are `<seq> <id>`, in any order and number: puts them where they belong and keeps the newest.
const PUBLISH: &str = "
local seqs, by_seq = {}, {}
local function take(element)
  local seq = tonumber(string.match(element, '^%d+'))
  if not by_seq[seq] then seqs[#seqs + 1] = seq end
  by_seq[seq] = element
end
for _, element in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do take(element) end
for _, element in ipairs(ARGV) do take(element) end
table.sort(seqs)
redis.call('DEL', KEYS[1])
for _, seq in ipairs(seqs) do redis.call('RPUSH', KEYS[1], by_seq[seq]) end
redis.call('LTRIM', KEYS[1], -100, -1)
return 1";

/// A client of one of the weaker protocols.
pub(super) struct Baseline {
    protocol: Protocol,
    pub(super) durable: ConversationStore,
    redis: ConnectionManager,
    publish: Script,
}

impl Baseline {
    pub(super) fn new(protocol: Protocol, database_url: &str, redis_url: &str) -> Result<Self, Broken> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(redis_url)?, config)?;
        Ok(Self { protocol, durable: store_at(database_url, NOWHERE), redis, publish: Script::new(PUBLISH) })
    }

    /// Tells Redis of messages that are committed. A failure is lived with, as is usual.
    pub(super) async fn publish(&mut self, key: &ConversationKey, added: &[Named]) {
        let list = list_of(key);
        let cache_update = match self.protocol {
            Protocol::CacheAside => self.redis.del::<_, ()>(&list).await,
            Protocol::CommitThenPublish => self.merge(&list, added).await,
            _ => self.append(&list, added).await,
        };
        drop(cache_update);
    }

    /// Reads the window: what Redis has, or else what Postgres has, which Redis is given.
    pub(super) async fn read(
        &mut self,
        key: &ConversationKey,
    ) -> Result<(Option<Vec<Named>>, Source), Error> {
        let list = list_of(key);
        let held = self.held(&list).await.unwrap_or_default();
        if !held.is_empty() && (self.protocol != Protocol::CommitThenPublish || is_whole(&held)) {
            return Ok((Some(held), Source::Hit));
        }
        let page = self.durable.recent(key, Limit::MAX, None).await?.found;
        let stored: Option<Vec<Named>> = page.map(|page| page.items.iter().map(named).collect());
        let window = stored.as_deref().unwrap_or_default();
        let filled = match self.protocol {
            Protocol::CommitThenPublish => self.merge(&list, window).await,
            _ => self.replace(&list, window).await,
        };
        Ok((stored, Source::Miss { reason: Miss::Cold, stored: filled.is_ok() }))
    }

    async fn held(&mut self, list: &str) -> RedisResult<Vec<Named>> {
        let elements: Vec<String> = self.redis.lrange(list, 0, -1).await?;
        let parse = |element: &String| {
            let (seq, id) = element.split_once(' ')?;
            Some((seq.parse().ok()?, id.to_owned()))
        };
        Ok(elements.iter().filter_map(parse).collect())
    }

    /// Reads the list, adds to it, writes it back.
    async fn append(&mut self, list: &str, added: &[Named]) -> RedisResult<()> {
        let mut window = self.held(list).await?;
        window.extend_from_slice(added);
        let newest = window.len().saturating_sub(FULL);
        self.replace(list, &window[newest..]).await
    }

    async fn replace(&mut self, list: &str, window: &[Named]) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        pipeline.atomic().del(list).ignore();
        if !window.is_empty() {
            pipeline.rpush(list, elements(window)).ignore();
        }
        pipeline.query_async(&mut self.redis).await
    }

    async fn merge(&mut self, list: &str, messages: &[Named]) -> RedisResult<()> {
        let mut call = self.publish.key(list);
        for element in elements(messages) {
            call.arg(element);
        }
        call.invoke_async(&mut self.redis).await
    }
}

fn list_of(key: &ConversationKey) -> String {
    format!("conversation:{{{}/{}}}:messages", key.owner.as_str(), key.id)
}

fn elements(messages: &[Named]) -> Vec<String> {
    messages.iter().map(|(seq, id)| format!("{seq} {id}")).collect()
}

/// Without a gap, and from the first message on or as long as a window gets.
fn is_whole(held: &[Named]) -> bool {
    let ascending = held.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1);
    ascending && (held.len() >= FULL || held.first().is_some_and(|(seq, _)| *seq == 1))
}
