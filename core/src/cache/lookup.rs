//! The hit check: may this entry be answered as it is?

use crate::types::error::CacheError;
use crate::types::read::Miss;
use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::types::conversation::Conversation;
use crate::types::message::Message;
use crate::types::page::Limit;
use crate::types::snapshot::{WINDOW, Window};

use super::key::{PRESUMED_DEAD, UNIDENTIFIED_VALIDITY, VALIDITY, millis};

/// What a look at a conversation's entry found.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// It is as fresh as Postgres.
    Hit(Box<Cached>),
    /// The conversation was deleted.
    Deleted,
    /// It cannot be relied on; and the validity marker that was seen, if there was one.
    Miss(Miss, Option<String>),
}

/// A valid entry.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) conversation: Conversation,
    /// The newest messages, as many as were asked for; none if they are too large to be cached all.
    pub(crate) messages: Option<Vec<Message>>,
    /// The server did not say who it is, so that nobody would have seen a failover.
    pub(crate) hidden: bool,
}

impl Cached {
    /// Whether the conversation has expired at that time, in Unix milliseconds.
    fn has_expired(&self, now: u64) -> bool {
        self.conversation.expires_at.is_some_and(|at| now.cast_signed().div_euclid(1_000) >= at)
    }
}

/// The replies of a look.
#[derive(Debug)]
pub(super) struct RawReply {
    /// `INFO replication`; none if the server was not asked, or did not say.
    pub(super) replication: Option<String>,
    /// The reader's clock, Unix milliseconds.
    pub(super) now: u64,
    /// The entry's fields.
    pub(super) entry: Vec<(String, String)>,
    /// The newest elements of the window, if they were asked for.
    pub(super) elements: Vec<Vec<u8>>,
    /// How long the window is. None: one element more than a window may have was asked for, so that it shows in them.
    pub(super) length: Option<usize>,
}

impl RawReply {
    /// From the replies to the entry, the elements and the length, as many as were asked for.
    pub(super) fn of(replies: Vec<Value>, replication: Option<String>, now: u64) -> Result<Self, CacheError> {
        let mut replies = replies.into_iter();
        Ok(Self {
            replication,
            now,
            entry: read(&mut replies)?,
            elements: read(&mut replies)?,
            length: read(&mut replies)?,
        })
    }
}

/// The next reply. What is wrong with it may be somebody's message, and must not get into a log.
pub(super) fn read<T: FromRedisValue>(replies: &mut impl Iterator<Item = Value>) -> Result<T, CacheError> {
    let reply = T::from_redis_value(replies.next().unwrap_or(Value::Nil));
    reply.map_err(|_| CacheError::Refused("the answer has another form than it should".into()))
}

/// Holds what was seen against the rules. A hit needs every one of them.
pub(super) fn evaluate(seen: RawReply, limit: Option<Limit>, min_version: Option<i64>) -> Lookup {
    let RawReply { replication, now, entry, elements, length } = seen;
    let length = length.unwrap_or(elements.len());
    let entry = Entry { fields: entry, now };
    if entry.fields.is_empty() {
        return Lookup::Miss(Miss::Cold, None);
    }
    if entry.field("tombstone").is_some() {
        return Lookup::Deleted;
    }
    if let Some(miss) = entry.miss(replication.as_deref(), min_version) {
        return Lookup::Miss(miss, entry.validity_marker());
    }
    let hidden = entry.stands_for(replication.as_deref().unwrap_or_default()) == Some(UNIDENTIFIED_VALIDITY);
    match entry.read(limit, length, elements, hidden) {
        Some(cached) if cached.has_expired(now) => {
            Lookup::Miss(Miss::ConversationExpired, entry.validity_marker())
        }
        Some(cached) => Lookup::Hit(Box::new(cached)),
        None => Lookup::Miss(Miss::Gap, entry.validity_marker()),
    }
}

/// A handful of fields, which are found faster by looking at each than by hashing them all.
struct Entry {
    fields: Vec<(String, String)>,
    /// The reader's clock, Unix milliseconds.
    now: u64,
}

impl Entry {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, field: &str) -> Option<T> {
        self.field(field)?.parse().ok()
    }

    /// The validity marker as it stands in the entry.
    fn validity_marker(&self) -> Option<String> {
        self.field("validated_at").map(str::to_owned)
    }

    /// What is wrong with the validity marker, if anything is.
    fn miss(&self, replication: Option<&str>, min_version: Option<i64>) -> Option<Miss> {
        let Some(stands_for) = self.stands_for(replication.unwrap_or_default()) else {
            return Some(Miss::Failover);
        };
        let mut intents = self.fields.iter().filter(|(field, _)| field.starts_with("intent:")).peekable();
        if intents.peek().is_some() {
            return Some(Miss::WritePending { live: intents.any(|(_, since)| self.is_live(since)) });
        }
        match self.number::<u64>("validated_at") {
            None => Some(Miss::NotValidated),
            Some(made) if self.now.abs_diff(made) > millis(stands_for) => Some(Miss::Expired),
            Some(_) if min_version > self.number("version") => Some(Miss::MinVersion),
            Some(_) => None,
        }
    }

    /// How long a validity marker stands: for long on a server that says that it is the one which holds the entry, not at all
    /// on another one or on a replica, and shortly where nobody can tell.
    fn stands_for(&self, replication: &str) -> Option<Duration> {
        let held = self.field("replid")?;
        if field_of(replication, "role") == Some("slave") {
            return None;
        }
        match field_of(replication, "master_replid") {
            Some(server) if server == held => Some(VALIDITY),
            Some(_) if held != HIDDEN => None,
            _ => Some(UNIDENTIFIED_VALIDITY),
        }
    }

    fn is_live(&self, since: &str) -> bool {
        since.parse::<u64>().is_ok_and(|since| self.now.abs_diff(since) <= millis(PRESUMED_DEAD))
    }

    /// The entry's facts, if the window is whole: as long as it must be. What is in it is never else than live messages
    /// from its beginning on, so a hole would show in its length.
    fn read(
        &self,
        limit: Option<Limit>,
        length: usize,
        elements: Vec<Vec<u8>>,
        hidden: bool,
    ) -> Option<Cached> {
        let conversation: Conversation = serde_json::from_str(self.field("conversation")?).ok()?;
        let Some(limit) = limit else {
            return Some(Cached { conversation, messages: Some(Vec::new()), hidden });
        };
        let whole = usize::try_from(self.number::<i64>("count")?).ok()?.min(WINDOW);
        if length != whole || elements.len() != whole.min(limit.get()) {
            return None;
        }
        Some(Cached { conversation, messages: window(elements)?.newest(limit), hidden })
    }
}

/// What an entry bears in the place of a replication id that the server does not say.
const HIDDEN: &str = "hidden";

/// A window from its elements; none if one of them is none of this store's.
pub(super) fn window(elements: Vec<Vec<u8>>) -> Option<Window> {
    let mut window = Window { bare: Vec::new(), messages: Vec::with_capacity(elements.len()) };
    for element in elements {
        match bare(&element) {
            Some(seq) => window.bare.push(seq),
            None => window.messages.push(Message::from_element(element)?),
        }
    }
    Some(window)
}

/// The position of a message whose JSON did not fit.
fn bare(element: &[u8]) -> Option<i64> {
    // What is longer is no number: most elements are, and need not be looked through.
    if element.len() > 20 {
        return None;
    }
    std::str::from_utf8(element).ok()?.parse().ok()
}

/// A field of INFO's text.
pub(super) fn field_of<'a>(info: &'a str, field: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const INFO: &str = "# Replication\r\nrole:master\r\nmaster_replid:abc\r\n";

    fn entry(changes: &[(&str, Option<&str>)]) -> HashMap<String, String> {
        let conversation = r#"{"id":"c","object":"conversation","title":null,"metadata":{},"message_count":2,"version":3,"created_at":1,"updated_at":1,"last_message_at":1}"#;
        let mut fields: HashMap<String, String> = [
            ("replid", "abc"),
            ("validated_at", "9999000"),
            ("version", "3"),
            ("first", "1"),
            ("count", "2"),
            ("conversation", conversation),
        ]
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .into();
        for (field, value) in changes {
            match value {
                Some(value) => fields.insert((*field).into(), (*value).into()),
                None => fields.remove(*field),
            };
        }
        fields
    }

    fn lookup(
        info: &str,
        entry: HashMap<String, String>,
        elements: &[&str],
        min_version: Option<i64>,
    ) -> Lookup {
        look_at(NOW, Some(info), entry, elements, min_version)
    }

    const NOW: u64 = 10_000_000;

    fn look_at(
        now: u64,
        info: Option<&str>,
        entry: HashMap<String, String>,
        elements: &[&str],
        min_version: Option<i64>,
    ) -> Lookup {
        let elements: Vec<_> = elements.iter().map(|element| element.as_bytes().to_vec()).collect();
        let limit = Some(Limit::MAX);
        let (replication, entry) = (info.map(str::to_owned), entry.into_iter().collect());
        evaluate(RawReply { replication, now, entry, elements, length: None }, limit, min_version)
    }

    fn miss(look: Lookup) -> Miss {
        match look {
            Lookup::Miss(miss, _) => miss,
            other => panic!("not a miss: {other:?}"),
        }
    }

    #[test]
    fn a_hit_needs_every_rule() {
        let whole = ["1 {}", "2 {}"];
        assert!(matches!(lookup(INFO, entry(&[]), &whole, Some(3)), Lookup::Hit(cached) if !cached.hidden));
        assert!(matches!(lookup(INFO, entry(&[("tombstone", Some("4"))]), &whole, None), Lookup::Deleted));
        for (expected, entry, elements, min_version) in [
            (Miss::Cold, HashMap::new(), &whole[..], None),
            (Miss::Failover, entry(&[("replid", Some("old"))]), &whole, None),
            (Miss::WritePending { live: true }, entry(&[("intent:1:0", Some("9999900"))]), &whole, None),
            (Miss::WritePending { live: false }, entry(&[("intent:1:0", Some("900"))]), &whole, None),
            (Miss::NotValidated, entry(&[("validated_at", None)]), &whole, None),
            (Miss::Expired, entry(&[("validated_at", Some("6399999"))]), &whole, None),
            (Miss::Expired, entry(&[("validated_at", Some("13600001"))]), &whole, None),
            (Miss::MinVersion, entry(&[]), &whole, Some(4)),
            (Miss::Gap, entry(&[]), &whole[..1], None),
            (Miss::Gap, entry(&[("count", Some("3"))]), &whole, None),
            (Miss::Gap, entry(&[("count", Some("1"))]), &whole, None),
            (Miss::Gap, entry(&[]), &["1 {}", "2 x"], None),
        ] {
            assert_eq!(miss(lookup(INFO, entry, elements, min_version)), expected);
        }
        assert_eq!(miss(lookup("role:slave\r\nmaster_replid:abc", entry(&[]), &whole, None)), Miss::Failover);
    }

    #[test]
    fn where_nobody_says_who_it_is_a_validity_marker_stands_shortly() {
        let whole = ["1 {}", "2 {}"];
        let hidden = || entry(&[("replid", Some("hidden"))]);
        // The entry says nothing, the server does not, or neither does.
        for (info, of) in [(Some(INFO), hidden()), (None, entry(&[])), (Some("role:master"), hidden())] {
            let made = 9_999_000;
            for (now, is_hit) in [(made + 30_000, true), (made + 30_001, false), (made - 30_001, false)] {
                let look = look_at(now, info, of.clone(), &whole, None);
                let hit = matches!(&look, Lookup::Hit(cached) if cached.hidden);
                assert_eq!(hit, is_hit, "{info:?} {now}");
                assert!(is_hit || miss(look) == Miss::Expired);
            }
        }
    }

    #[test]
    fn what_has_expired_is_left_to_postgres() {
        let conversation = r#"{"id":"c","message_count":2,"version":3,"expires_at":10001}"#;
        let at = |now| {
            let entry = entry(&[("conversation", Some(conversation))]);
            look_at(now, Some(INFO), entry, &["1 {}", "2 {}"], None)
        };
        assert!(matches!(at(10_000_999), Lookup::Hit(_)));
        assert_eq!(miss(at(10_001_000)), Miss::ConversationExpired);
    }

    #[test]
    fn a_window_that_is_too_large_says_so() {
        let found = |elements: &[&str]| match lookup(INFO, entry(&[]), elements, None) {
            Lookup::Hit(cached) => cached.messages.map(|messages| messages.len()),
            other => panic!("no hit: {other:?}"),
        };
        assert_eq!(
            (found(&["1 {}", "2 {}"]), found(&["1", "2 {}"]), found(&["1", "2"])),
            (Some(2), None, None)
        );
    }
}
