//! JSON that is kept to the byte.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// JSON values as they are sent. One that cannot be written as JSON is an error when the request is built.
#[derive(Clone, Debug)]
pub(crate) struct RawList(Result<Vec<Box<RawValue>>, String>);

impl RawList {
    pub(crate) fn of(values: impl IntoIterator<Item = impl Serialize>) -> Self {
        let values = values.into_iter().map(|value| to_raw_value(&value));
        Self(values.collect::<Result<_, _>>().map_err(|error| error.to_string()))
    }
}

impl Default for RawList {
    fn default() -> Self {
        Self(Ok(Vec::new()))
    }
}

impl Serialize for RawList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(values) => values.serialize(serializer),
            Err(error) => Err(S::Error::custom(error)),
        }
    }
}

/// JSON as the store keeps it, and what the store says in it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) json: Box<RawValue>,
    pub(crate) head: Head,
}

/// The fields of a message or an item that the store assigns or that every one has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) seq: u64,
    pub(crate) created_at: u64,
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let head = serde_json::from_str(json.get()).map_err(D::Error::custom)?;
        Ok(Self { json, head })
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message or an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(field) = map.next_key()? {
            match field {
                Field::Id => head.id = map.next_value()?,
                // A message's may be any JSON.
                Field::Kind => {
                    let kind: &RawValue = map.next_value()?;
                    head.kind = serde_json::from_str(kind.get()).unwrap_or_default();
                }
                Field::Seq => head.seq = map.next_value()?,
                Field::CreatedAt => head.created_at = map.next_value()?,
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
}

/// The name of a field. It is read as bytes: a key of a client's may have an unpaired surrogate, and is then no text.
enum Field {
    Id,
    Kind,
    Seq,
    CreatedAt,
    Other,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(FieldVisitor)
    }
}

struct FieldVisitor;

impl Visitor<'_> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Field, E> {
        Ok(match name {
            b"id" => Field::Id,
            b"type" => Field::Kind,
            b"seq" => Field::Seq,
            b"created_at" => Field::CreatedAt,
            _ => Field::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn json_is_kept_to_the_byte() {
        let texts = [
            r#"{"id":"m","seq":7,"created_at":1,"b":1e2, "a" : 100.0,"role":"user","content":"\u00e9\/é"}"#,
            r#"{"id":"m","seq":7,"created_at":1,"cut":"\ud83d","\ud83d":1,"n":123456789012345678901234567890}"#,
            r#"{"id":"m","seq":7,"created_at":1,"type":null}"#,
            r#"{"id":"m","seq":7,"created_at":1,"type":{"a":[5]}}"#,
            r#"{"id":"m","seq":7,"created_at":1,"type":"\ud83d"}"#,
        ];
        let page = format!("[{}]", texts.join(" , "));
        let stored: Vec<Stored> = serde_json::from_str(&page).unwrap();
        for (stored, text) in stored.iter().zip(texts) {
            assert_eq!(stored.json.get(), text);
            let head = &stored.head;
            assert_eq!((head.id.as_str(), head.seq, head.created_at, head.kind.as_str()), ("m", 7, 1, ""));
        }
        let again = serde_json::to_string(&RawList::of(stored.iter().map(|stored| &stored.json))).unwrap();
        assert_eq!(again, format!("[{}]", texts.join(",")));
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let keyed_by_pairs = BTreeMap::from([((1, 2), 3)]);
        let error = serde_json::to_string(&RawList::of([keyed_by_pairs])).unwrap_err();
        assert!(error.to_string().contains("key"), "{error}");
        assert!(serde_json::from_str::<Stored>("[]").is_err());
        assert!(serde_json::from_str::<Stored>(r#"{"id":1}"#).is_err());
    }
}
