//! Redis Cluster's slots: which one a key is in, and which server has it.

use std::fmt;
use std::ops::RangeInclusive;

use redis::{FromRedisValue, ParsingError, Value};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::cache) struct Address {
    /// A name or an address; empty: that of the server which named it.
    pub(in crate::cache) host: String,
    /// The port.
    pub(in crate::cache) port: u16,
}

impl Address {
    /// Reads `host:port`.
    pub(in crate::cache) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How many slots there are.
const SLOTS: u16 = 16_384;

/// The slot of a key: CRC-16/XMODEM of its hash tag, or of the whole key if it has none.
pub(in crate::cache) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// Which primary has which slots: the answer to `CLUSTER SLOTS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cache) struct Slots(Vec<(RangeInclusive<u16>, Address)>);

impl Slots {
    /// The primary of a slot; none if nobody has it.
    pub(in crate::cache) fn owner(&self, slot: u16) -> Option<&Address> {
        self.0.iter().find(|(range, _)| range.contains(&slot)).map(|(_, address)| address)
    }

    /// The primaries. One that has several ranges stands there several times.
    pub(in crate::cache) fn primaries(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|(_, address)| address)
    }

    /// A server that does not know its own name leaves it empty: then it is the one that was asked.
    pub(in crate::cache) fn named_by(mut self, host: &str) -> Self {
        for (_, address) in &mut self.0 {
            if address.host.is_empty() {
                host.clone_into(&mut address.host);
            }
        }
        self
    }
}

/// A range: its first slot, its last, then host, port and more of the primary, then its replicas.
impl FromRedisValue for Slots {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let range = |range: Vec<Value>| {
            let mut range = range.into_iter();
            let mut next = || range.next().unwrap_or_default();
            let slots = u16::from_redis_value(next())?..=u16::from_redis_value(next())?;
            let mut primary = Vec::<Value>::from_redis_value(next())?.into_iter();
            let host = Option::<String>::from_redis_value(primary.next().unwrap_or_default())?;
            let port = u16::from_redis_value(primary.next().unwrap_or_default())?;
            Ok((slots, Address { host: host.unwrap_or_default(), port }))
        };
        let ranges = Vec::<Vec<Value>>::from_redis_value(value)?;
        ranges.into_iter().map(range).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_the_slot_of_its_hash_tag() {
        // The specification's own value.
        assert_eq!(slot_of("123456789"), 0x31c3);
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of("{foo}:a"), slot_of("b{foo}{bar}"));
        assert_eq!(slot_of("{}foo"), slot_of("{}foo"));
        assert_ne!(slot_of("{}foo"), slot_of("{}bar"), "an empty tag is none");
    }

    #[test]
    fn slots_are_read_as_servers_tell_them() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node =
            |host: Value, port| Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])]);
        let range = |from, to, primary| {
            Value::Array(vec![Value::Int(from), Value::Int(to), primary, node(text("replica"), 1)])
        };
        let reply = Value::Array(vec![
            range(0, 99, node(text("a"), 6379)),
            range(100, 16_383, node(Value::Nil, 6380)),
        ]);
        let slots = Slots::from_redis_value(reply).unwrap().named_by("b");
        assert_eq!(slots.owner(99).unwrap().to_string(), "a:6379");
        assert_eq!(slots.owner(100).unwrap().to_string(), "b:6380");
        assert_eq!(slots.primaries().count(), 2);
        assert_eq!(Slots::default().owner(1), None);
    }
}
