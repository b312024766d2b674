//! JSON as it was spelt, and when two spellings are of the same value.
//!
//! Strings may hold unpaired surrogates, which JSON allows and Rust's strings do not: they are read as bytes, in which a
//! surrogate is encoded as if it were a character (WTF-8, <https://wtf-8.codeberg.page>).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A string, borrowed where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JsonText<'a>(Cow<'a, [u8]>);

/// The fields of an object in their order, each value as it was spelt. A key may stand twice.
#[derive(Clone, Debug, Default)]
pub struct JsonFields<'a>(pub Vec<(JsonText<'a>, &'a RawValue)>);

/// A piece of a string.
enum Piece<'a> {
    Text(&'a str),
    Surrogate(u16),
}

impl<'a> JsonText<'a> {
    /// Reads a JSON string; none: it is something else.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The text, with U+FFFD in the place of each unpaired surrogate.
    pub fn lossy(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => self.map_surrogates(str::to_owned, |_| "\u{FFFD}".to_owned()).into(),
        }
    }

    /// The text as JSON, with an escape in the place of each unpaired surrogate.
    pub fn to_json(&self) -> String {
        let quoted = |text: &str| {
            let quoted = serde_json::Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        format!("\"{}\"", self.map_surrogates(quoted, |unit| format!("\\u{unit:04x}")))
    }

    fn map_surrogates(&self, text: impl Fn(&str) -> String, surrogate: impl Fn(u16) -> String) -> String {
        let piece = |piece| match piece {
            Piece::Text(valid) => text(valid),
            Piece::Surrogate(unit) => surrogate(unit),
        };
        pieces(&self.0).into_iter().map(piece).collect()
    }
}

/// Of bytes that are WTF-8.
fn pieces(mut bytes: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some(chunk) = bytes.utf8_chunks().next() {
        pieces.push(Piece::Text(chunk.valid()));
        bytes = &bytes[chunk.valid().len()..];
        // 1110_1101 10aa_aabb 10cc_cccc, of which the first says 0xD000.
        let [0xED, second, third, rest @ ..] = bytes else { break };
        pieces.push(Piece::Surrogate(0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F)));
        bytes = rest;
    }
    pieces
}

impl PartialEq<str> for JsonText<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = JsonText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(JsonText(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(JsonText(Cow::Owned(bytes.to_owned())))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonText(Cow::Borrowed(text.as_bytes())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonText(Cow::Owned(text.as_bytes().to_owned())))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

impl<'a> JsonFields<'a> {
    /// Reads an object; none: it is something else.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| *key == *name)
    }

    /// The object without fields of these names, as JSON.
    pub fn without(&self, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(key, _)| !names.iter().any(|name| *key == **name));
        let fields: Vec<String> =
            kept.map(|(key, value)| format!("{}:{}", key.to_json(), value.get())).collect();
        format!("{{{}}}", fields.join(","))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = JsonFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(JsonFields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Whether objects and arrays nest deeper than that in valid JSON.
pub fn nests_deeper(json: &str, than: usize) -> bool {
    // As a rule there are too few of them for that, wherever they stand.
    json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() > than && nesting(json) > than
}

fn nesting(json: &str) -> usize {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A JSON value under another name for each value, and one name for all its spellings: spaces, the order of keys, escapes and
/// how a number is written make no difference; an array's order and a key that stands twice do.
///
/// Numbers are compared as decimals of any length, not as floats: 9007199254740993 is not 9007199254740992.
pub(crate) fn canonical(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    write_canonical(json.trim_ascii(), &mut text);
    text
}

fn write_canonical(json: &str, text: &mut String) {
    match json.as_bytes().first() {
        Some(b'{') => {
            text.push('{');
            for (at, (key, value)) in sorted(json).iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                text.push_str(&key.to_json());
                text.push(':');
                write_canonical(value.get(), text);
            }
            text.push('}');
        }
        Some(b'[') => {
            text.push('[');
            for (at, value) in elements(json).iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                write_canonical(value.get(), text);
            }
            text.push(']');
        }
        Some(b'"') => {
            text.push_str(&JsonText::parse(json).map_or_else(|| json.to_owned(), |it| it.to_json()));
        }
        Some(b'-' | b'0'..=b'9') => text.push_str(&decimal(json)),
        _ => text.push_str(json),
    }
}

/// An object's fields by their keys; one that stands twice in the order given.
fn sorted(json: &str) -> Vec<(JsonText<'_>, &RawValue)> {
    let JsonFields(mut fields) = JsonFields::parse(json).unwrap_or_default();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

fn elements(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// A number's digits without zeros at either end, and the power of ten that they count.
fn decimal(number: &str) -> String {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i128>() else {
        // Longer than anybody counts.
        return number.to_ascii_lowercase();
    };
    let shift = (digits.len() - significant.len()) as i128 - fraction.len() as i128;
    format!("{sign}{significant}e{}", exponent.saturating_add(shift))
}

/// The whole number that a JSON number is: 60.0 and 6e1 are 60. None: it is none, has a fraction, or does not fit.
pub fn whole_number(number: &str) -> Option<i64> {
    if let Ok(number) = number.parse() {
        return Some(number);
    }
    let decimal = decimal(number);
    let (significant, exponent) = decimal.split_once('e').unwrap_or((&decimal, "0"));
    let power = 10_i64.checked_pow(exponent.parse().ok()?)?;
    significant.parse::<i64>().ok()?.checked_mul(power)
}

/// The path of a value at which two JSON texts differ; none: they are of the same value. The path of all of it is empty.
pub(crate) fn difference(one: &str, other: &str) -> Option<String> {
    differ(one.trim_ascii(), other.trim_ascii(), String::new())
}

fn differ(one: &str, other: &str, path: String) -> Option<String> {
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (ours, theirs) = (sorted(one), sorted(other));
            let below = |key: &JsonText<'_>| {
                let dot = if path.is_empty() { "" } else { "." };
                format!("{path}{dot}{}", key.lossy())
            };
            let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
            loop {
                match (ours.peek(), theirs.peek()) {
                    (None, None) => return None,
                    (Some((key, value)), Some((their_key, their_value))) if key == their_key => {
                        let found = differ(value.get(), their_value.get(), below(key));
                        if found.is_some() {
                            return found;
                        }
                        ours.next();
                        theirs.next();
                    }
                    (Some((key, _)), Some((their_key, _))) => return Some(below(key.min(their_key))),
                    (Some((key, _)), None) | (None, Some((key, _))) => return Some(below(key)),
                }
            }
        }
        (Some(b'['), Some(b'[')) => {
            let (ours, theirs) = (elements(one), elements(other));
            let common = ours.len().min(theirs.len());
            let pairs = ours.iter().zip(&theirs).enumerate();
            let found = pairs
                .into_iter()
                .find_map(|(at, (ours, theirs))| differ(ours.get(), theirs.get(), format!("{path}[{at}]")));
            found.or_else(|| (ours.len() != theirs.len()).then(|| format!("{path}[{common}]")))
        }
        _ => (one != other && canonical(one) != canonical(other)).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_many_spellings() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] ,\n\"a\" : 1 } "),
            (r#""é/\n""#, r#""\u00e9\/\u000a""#),
            (r#""\ud83d\ude00""#, r#""😀""#),
            (r#"{"\u0061":"\ud800"}"#, r#"{"a":"\uD800"}"#),
            ("[100,1.50,-0.0,0.001]", "[1e2,15E-1,0,1e-3]"),
            ("123456789012345678901234567890", "1.23456789012345678901234567890e29"),
        ] {
            assert_eq!(difference(one, other), None, "{one} {other}");
            assert_eq!(canonical(one), canonical(other));
        }
    }

    #[test]
    fn a_whole_number_has_many_spellings() {
        for (number, whole) in [("0", 0), ("-7", -7), ("60.0", 60), ("6e1", 60), ("0.6E+2", 60), ("0.0", 0)] {
            assert_eq!(whole_number(number), Some(whole), "{number}");
        }
        assert_eq!(whole_number("9223372036854775807.0"), Some(i64::MAX));
        for number in ["60.5", "5e-1", "1e30", "9223372036854775808", "\"60\"", "null", "true", "[]", "{}"] {
            assert_eq!(whole_number(number), None, "{number}");
        }
    }

    #[test]
    fn another_value_differs_at_a_path() {
        for (one, other, path) in [
            (r#"{"a":{"b":[1,{"c":2}]}}"#, r#"{"a":{"b":[1,{"c":3}]}}"#, "a.b[1].c"),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, "b"),
            (r#"{"b":1}"#, r#"{"a":1,"b":1}"#, "a"),
            (r#"[1,2]"#, r#"[1,2,3]"#, "[2]"),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, "a"),
            (r#"{"a":[]}"#, r#"{"a":{}}"#, "a"),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992}"#, "n"),
            (r#"{"n":1}"#, r#"{"n":-1}"#, "n"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#, "a"),
            (r#"{"\ud800":1,"\ud801":2}"#, r#"{"\ud800":1,"\ud801":3}"#, "\u{FFFD}"),
            (r#""a""#, r#""b""#, ""),
        ] {
            assert_eq!(difference(one, other).as_deref(), Some(path), "{one} {other}");
            assert_ne!(canonical(one), canonical(other));
        }
        assert_ne!(canonical(r#""1""#), canonical("1"));
    }

    #[test]
    fn an_unpaired_surrogate_is_kept_or_replaced() {
        let text = JsonText::parse(r#""a\ud800b\udfff\ufffd😀""#).unwrap();
        assert_eq!(text.lossy(), "a\u{FFFD}b\u{FFFD}\u{FFFD}😀");
        assert_eq!(text.to_json(), "\"a\\ud800b\\udfff\u{FFFD}😀\"");
        assert!(JsonText::parse("7").is_none());
        let JsonFields(fields) = JsonFields::parse(r#"{"\ud800":1,"\ud801":2}"#).unwrap();
        assert_ne!(fields[0].0, fields[1].0);
    }
}
