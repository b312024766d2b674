//! The hit check: may this entry be answered as it is?

use std::fmt;

use redis::{FromRedisValue, ParsingError, Value};

use crate::conversation::Conversation;
use crate::message::Message;
use crate::page::Limit;
use crate::snapshot::WINDOW;

use super::key::{PRESUMED_DEAD, millis};

/// What a look at a conversation's entry found.
#[derive(Debug)]
pub(crate) enum Look {
    /// It is as fresh as Postgres.
    Hit(Box<Cached>),
    /// The conversation was deleted.
    Gone,
    /// It cannot be relied on; and the certificate that was seen, if there was one.
    Miss(Miss, Option<String>),
}

/// A certified entry.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) conversation: Conversation,
    /// The newest messages, as many as were asked for.
    pub(crate) messages: Vec<Message>,
}

/// Why a read had to go to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nothing is cached.
    Cold,
    /// A write is in flight.
    Fenced {
        /// Some write began only just now, so that its publication is worth waiting for.
        live: bool,
    },
    /// Facts are cached, but not the claim that they are all of them.
    Uncertified,
    /// The window is not whole.
    Gap,
    /// The server took over from another one, or is a replica.
    Failover,
    /// The certificate is due for a check.
    Check,
    /// The caller has seen a newer version.
    MinVersion,
    /// The cache cannot be reached or answered an error.
    Unreachable,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cold => "cold",
            Self::Fenced { .. } => "fenced",
            Self::Uncertified => "uncertified",
            Self::Gap => "gap",
            Self::Failover => "failover",
            Self::Check => "check",
            Self::MinVersion => "min-version",
            Self::Unreachable => "unreachable",
        })
    }
}

/// The replies of a look.
#[derive(Debug)]
pub(super) struct Seen {
    /// `INFO replication`.
    pub(super) replication: String,
    /// `TIME`.
    pub(super) time: (u64, u64),
    /// The entry's fields.
    pub(super) entry: Vec<(String, String)>,
    /// The newest elements of the window, if they were asked for.
    pub(super) elements: Vec<Vec<u8>>,
    /// How long the window is. None: one element more than a window may have was asked for, so that it shows in them.
    pub(super) length: Option<usize>,
}

impl FromRedisValue for Seen {
    fn from_redis_value(replies: Value) -> Result<Self, ParsingError> {
        let mut replies = Vec::<Value>::from_redis_value(replies)?.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil);
        Ok(Self {
            replication: String::from_redis_value(next())?,
            time: FromRedisValue::from_redis_value(next())?,
            entry: FromRedisValue::from_redis_value(next())?,
            elements: FromRedisValue::from_redis_value(next())?,
            length: FromRedisValue::from_redis_value(next())?,
        })
    }
}

/// Holds what was seen against the rules. A hit needs every one of them.
pub(super) fn judge(seen: Seen, limit: Option<Limit>, min_version: Option<i64>) -> Look {
    let Seen { replication, time: (seconds, micros), entry, elements, length } = seen;
    let length = length.unwrap_or(elements.len());
    let entry = Entry { fields: entry, now: seconds * 1_000 + micros / 1_000 };
    if entry.fields.is_empty() {
        return Look::Miss(Miss::Cold, None);
    }
    if entry.field("gone").is_some() {
        return Look::Gone;
    }
    if let Some(miss) = entry.miss(&replication, min_version) {
        return Look::Miss(miss, entry.certificate());
    }
    match entry.read(limit, length, elements) {
        Some(cached) => Look::Hit(Box::new(cached)),
        None => Look::Miss(Miss::Gap, entry.certificate()),
    }
}

/// A handful of fields, which are found faster by looking at each than by hashing them all.
struct Entry {
    fields: Vec<(String, String)>,
    /// The server's clock, Unix milliseconds.
    now: u64,
}

impl Entry {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, field: &str) -> Option<T> {
        self.field(field)?.parse().ok()
    }

    /// The certificate as it stands in the entry.
    fn certificate(&self) -> Option<String> {
        self.field("certified").map(str::to_owned)
    }

    /// What is wrong with the certificate, if anything is.
    fn miss(&self, replication: &str, min_version: Option<i64>) -> Option<Miss> {
        let replid = field_of(replication, "master_replid").unwrap_or("hidden");
        let is_replica = field_of(replication, "role") == Some("slave");
        if is_replica || self.field("replid").is_none_or(|held| held != replid) {
            return Some(Miss::Failover);
        }
        let mut fences = self.fields.iter().filter(|(field, _)| field.starts_with("fence:")).peekable();
        if fences.peek().is_some() {
            return Some(Miss::Fenced { live: fences.any(|(_, since)| self.is_live(since)) });
        }
        match self.number::<u64>("certified") {
            None => Some(Miss::Uncertified),
            Some(check_by) if check_by < self.now => Some(Miss::Check),
            Some(_) if min_version > self.number("version") => Some(Miss::MinVersion),
            Some(_) => None,
        }
    }

    fn is_live(&self, since: &str) -> bool {
        since.parse::<u64>().is_ok_and(|since| self.now.abs_diff(since) <= millis(PRESUMED_DEAD))
    }

    /// The entry's facts, if the window is whole: as long as it must be. What is in it is never else than live messages
    /// from its beginning on, so a hole would show in its length.
    fn read(&self, limit: Option<Limit>, length: usize, elements: Vec<Vec<u8>>) -> Option<Cached> {
        let conversation: Conversation = serde_json::from_str(self.field("conversation")?).ok()?;
        let messages: Vec<Message> =
            elements.into_iter().map(Message::from_element).collect::<Option<_>>()?;
        if let Some(limit) = limit {
            let whole = usize::try_from(self.number::<i64>("count")?).ok()?.min(WINDOW);
            if length != whole || messages.len() != whole.min(limit.get()) {
                return None;
            }
        }
        Some(Cached { conversation, messages })
    }
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
            ("certified", "2000"),
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

    fn look(info: &str, entry: HashMap<String, String>, elements: &[&str], min_version: Option<i64>) -> Look {
        let elements: Vec<_> = elements.iter().map(|element| element.as_bytes().to_vec()).collect();
        let limit = Some(Limit::MAX);
        let (replication, entry) = (info.into(), entry.into_iter().collect());
        judge(Seen { replication, time: (1, 0), entry, elements, length: None }, limit, min_version)
    }

    fn miss(look: Look) -> Miss {
        match look {
            Look::Miss(miss, _) => miss,
            other => panic!("not a miss: {other:?}"),
        }
    }

    #[test]
    fn a_hit_needs_every_rule() {
        let whole = ["1 {}", "2 {}"];
        assert!(matches!(look(INFO, entry(&[]), &whole, Some(3)), Look::Hit(_)));
        assert!(matches!(look(INFO, entry(&[("gone", Some("4"))]), &whole, None), Look::Gone));
        for (expected, entry, elements, min_version) in [
            (Miss::Cold, HashMap::new(), &whole[..], None),
            (Miss::Failover, entry(&[("replid", Some("old"))]), &whole, None),
            (Miss::Fenced { live: true }, entry(&[("fence:1:0", Some("900"))]), &whole, None),
            (Miss::Fenced { live: false }, entry(&[("fence:1:0", Some("900000"))]), &whole, None),
            (Miss::Uncertified, entry(&[("certified", None)]), &whole, None),
            (Miss::Check, entry(&[("certified", Some("999"))]), &whole, None),
            (Miss::MinVersion, entry(&[]), &whole, Some(4)),
            (Miss::Gap, entry(&[]), &whole[..1], None),
            (Miss::Gap, entry(&[("count", Some("3"))]), &whole, None),
            (Miss::Gap, entry(&[("count", Some("1"))]), &whole, None),
            (Miss::Gap, entry(&[]), &["1 {}", "2"], None),
        ] {
            assert_eq!(miss(look(INFO, entry, elements, min_version)), expected);
        }
        assert_eq!(miss(look("role:slave\r\nmaster_replid:abc", entry(&[]), &whole, None)), Miss::Failover);
    }

    #[test]
    fn a_hidden_replication_id_is_the_same_for_all_time() {
        let hidden = entry(&[("replid", Some("hidden"))]);
        assert!(matches!(look("", hidden, &["1 {}", "2 {}"], None), Look::Hit(_)));
    }
}
