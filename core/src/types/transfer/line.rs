//! The lines of an export: one JSON object each. First owners with their own records; then each conversation, its messages in order, and its
//! records in the order of their keys.
//!
//! ```text
//! {"record":"owner","owner":"ann","record_revision":1,"record_count":1}
//! {"record":"record","conversation":null,"key":"settings","revision":1,"content_type":"application/json", ... ,"value":"{}"}
//! {"record":"conversation","owner":"ann","id":"c1","title":null,"metadata":{},"version":2,"last_seq":1, ...}
//! {"record":"message","conversation":"c1","seq":1,"id":"m1","created_at_us":1700000000000000,"body":{"role": ...}}
//! ```
//!
//! `body` is the client's JSON, to the byte. Where that has line breaks in it, `body` is a string that holds it instead. A record has `base64`
//! in the place of `value` where its bytes are not UTF-8.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{Exported, ExportedConversation, ExportedMessage, ExportedOwner, ExportedRecord};
use crate::types::conversation::{ConversationFields, ConversationId, ConversationKey, OwnerId};
use crate::types::error::Invalid;
use crate::types::message::MessageId;
use crate::types::record::{ContentType, RecordKey, RecordValue};

/// Why a line is not one of an export.
#[derive(Debug, Error)]
pub enum LineError {
    /// It is not valid JSON, or not of the expected form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A value breaks its rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// None of the four kinds.
    #[error("record is {0:?}, neither \"conversation\", \"message\", \"owner\" nor \"record\"")]
    Unknown(String),
    /// A message or a record that is not of the conversation before it.
    #[error("a {0} of {1}, which is not the conversation before it")]
    Stray(&'static str, String),
    /// A record without a value, or with two.
    #[error("a record has either value or base64")]
    NoValue,
    /// Bytes that are not base64.
    #[error("base64: {0}")]
    Base64(#[from] base64::DecodeError),
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct ConversationLine<'a, Fields> {
    #[serde(borrow)]
    record: Cow<'a, str>,
    #[serde(borrow)]
    owner: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(flatten)]
    fields: Fields,
    version: i64,
    last_seq: i64,
    message_count: i64,
    created_at_us: i64,
    updated_at_us: i64,
    #[serde(default)]
    last_message_at_us: Option<i64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    forked_from: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forked_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    record_revision: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    record_count: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerLine<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
    #[serde(borrow)]
    owner: Cow<'a, str>,
    record_revision: i64,
    record_count: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
    /// Null: it is one of the owner's.
    #[serde(borrow)]
    conversation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    revision: i64,
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    updated_at_us: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageLine<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
    #[serde(borrow)]
    conversation: Cow<'a, str>,
    seq: i64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    created_at_us: i64,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Appends a line. `of` is the conversation of a message or a record; none: the record is an owner's.
///
/// # Errors
/// The record cannot be serialised, which none is known to be.
pub fn write_line(
    record: &Exported,
    of: Option<&ConversationId>,
    out: &mut Vec<u8>,
) -> Result<(), LineError> {
    match record {
        Exported::Conversation(record) => serde_json::to_writer(&mut *out, &conversation_line(record))?,
        Exported::Message(record) => {
            let json = record.json();
            let text;
            let body: &RawValue = if json.bytes().any(|byte| matches!(byte, b'\n' | b'\r')) {
                text = serde_json::value::to_raw_value(json)?;
                &text
            } else {
                serde_json::from_str(json)?
            };
            let line = MessageLine {
                record: "message".into(),
                conversation: of.map_or("", ConversationId::as_str).into(),
                seq: record.seq,
                id: record.id().as_str().into(),
                created_at_us: record.created_at,
                body,
            };
            serde_json::to_writer(&mut *out, &line)?;
        }
        Exported::Owner(owner) => {
            let line = OwnerLine {
                record: "owner".into(),
                owner: owner.owner.as_str().into(),
                record_revision: owner.record_revision,
                record_count: owner.record_count,
            };
            serde_json::to_writer(&mut *out, &line)?;
        }
        Exported::Record(record) => serde_json::to_writer(&mut *out, &record_line(record, of))?,
    }
    out.push(b'\n');
    Ok(())
}

fn record_line<'a>(record: &'a ExportedRecord, of: Option<&'a ConversationId>) -> RecordLine<'a> {
    let (value, base64) = match std::str::from_utf8(&record.value.bytes) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(STANDARD.encode(&record.value.bytes).into())),
    };
    RecordLine {
        record: "record".into(),
        conversation: of.map(|of| of.as_str().into()),
        key: record.key.as_str().into(),
        revision: record.revision,
        content_type: record.value.content_type.as_str().into(),
        updated_at_us: record.updated_at,
        value,
        base64,
    }
}

fn conversation_line(record: &ExportedConversation) -> ConversationLine<'_, &ConversationFields> {
    ConversationLine {
        record: "conversation".into(),
        owner: record.key.owner.as_str().into(),
        id: record.key.id.as_str().into(),
        fields: &record.fields,
        version: record.version,
        last_seq: record.last_seq,
        message_count: record.message_count,
        created_at_us: record.created_at,
        updated_at_us: record.updated_at,
        last_message_at_us: record.last_message_at,
        forked_from: record.forked_from.as_ref().map(|id| id.as_str().into()),
        forked_at: record.forked_at,
        record_revision: record.record_revision,
        record_count: record.record_count,
    }
}

/// Parses a line. `of` is the conversation before it.
///
/// # Errors
/// It is not a line of an export, or a value breaks its rule.
pub fn read_line(line: &str, of: Option<&ConversationId>) -> Result<Exported, LineError> {
    let Kind { record } = serde_json::from_str(line)?;
    match record.as_ref() {
        "conversation" => read_conversation(serde_json::from_str(line)?).map(Exported::Conversation),
        "message" => {
            let line: MessageLine<'_> = serde_json::from_str(line)?;
            if of.is_none_or(|of| of.as_str() != line.conversation) {
                return Err(LineError::Stray("message", line.conversation.into_owned()));
            }
            read_message(&line).map(Exported::Message)
        }
        "owner" => {
            let line: OwnerLine<'_> = serde_json::from_str(line)?;
            let owner = OwnerId::new(line.owner.into_owned())?;
            let owner = ExportedOwner {
                owner,
                record_revision: line.record_revision,
                record_count: line.record_count,
            };
            owner.check()?;
            Ok(Exported::Owner(owner))
        }
        "record" => {
            let line: RecordLine<'_> = serde_json::from_str(line)?;
            if of.map(ConversationId::as_str) != line.conversation.as_deref() {
                let of = line.conversation.map_or_else(|| "an owner".to_owned(), Cow::into_owned);
                return Err(LineError::Stray("record", of));
            }
            read_record(line).map(Exported::Record)
        }
        other => Err(LineError::Unknown(other.to_owned())),
    }
}

fn read_conversation(
    line: ConversationLine<'_, Map<String, Value>>,
) -> Result<ExportedConversation, LineError> {
    let mut fields = ConversationFields::default();
    for (name, value) in line.fields {
        if !fields.set(&name, value)? {
            return Err(LineError::Json(serde_json::Error::custom(format_args!("unknown field `{name}`"))));
        }
    }
    let key = ConversationKey {
        owner: OwnerId::new(line.owner.into_owned())?,
        id: ConversationId::new(line.id.into_owned())?,
    };
    let record = ExportedConversation {
        key,
        fields,
        version: line.version,
        last_seq: line.last_seq,
        message_count: line.message_count,
        created_at: line.created_at_us,
        updated_at: line.updated_at_us,
        last_message_at: line.last_message_at_us,
        forked_from: line.forked_from.map(|id| ConversationId::new(id.into_owned())).transpose()?,
        forked_at: line.forked_at,
        record_revision: line.record_revision,
        record_count: line.record_count,
    };
    record.check()?;
    Ok(record)
}

fn read_record(line: RecordLine<'_>) -> Result<ExportedRecord, LineError> {
    let bytes = match (line.value, line.base64) {
        (Some(text), None) => text.into_owned().into_bytes(),
        (None, Some(base64)) => STANDARD.decode(base64.as_bytes())?,
        _ => return Err(LineError::NoValue),
    };
    let record = ExportedRecord {
        key: RecordKey::new(line.key.into_owned())?,
        revision: line.revision,
        updated_at: line.updated_at_us,
        value: RecordValue { bytes, content_type: ContentType::new(line.content_type.into_owned())? },
    };
    record.check(i64::MAX)?;
    Ok(record)
}

fn read_message(line: &MessageLine<'_>) -> Result<ExportedMessage, LineError> {
    let json = line.body.get();
    let json = if json.starts_with('"') {
        Cow::Owned(serde_json::from_str::<String>(json)?)
    } else {
        Cow::Borrowed(json)
    };
    Ok(ExportedMessage::new(line.seq, MessageId::new(line.id.as_ref())?, line.created_at_us, &json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: &str = r#"{"record":"conversation","owner":"ann","id":"c","title":"é\n","metadata":{"k":"v"},"version":7,"last_seq":3,"message_count":2,"created_at_us":1,"updated_at_us":1700000000123456,"last_message_at_us":null}"#;

    fn again(line: &str) -> String {
        let of = ConversationId::new("c").unwrap();
        let mut out = Vec::new();
        write_line(&read_line(line, Some(&of)).unwrap(), Some(&of), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_come_back_to_the_byte() {
        let message = |body: &str| {
            format!(
                r#"{{"record":"message","conversation":"c","seq":1,"id":"m","created_at_us":5,"body":{body}}}"#
            )
        };
        for line in [
            CONVERSATION.to_owned(),
            message(r#"{ "role":"user", "content":"\u0000 \ud800 a", "n":1.0e+07,"id":"m" }"#),
            message(r#""{\"role\":\"user\",\n\"content\":\"\\u0000\"}""#),
            r#"{"record":"owner","owner":"ann","record_revision":7,"record_count":1}"#.to_owned(),
            r#"{"record":"record","conversation":"c","key":"a/é\n","revision":7,"content_type":"text/plain","updated_at_us":5,"value":"\u0000 é"}"#.to_owned(),
            r#"{"record":"record","conversation":"c","key":"b","revision":7,"content_type":"a/b","updated_at_us":5,"base64":"/w=="}"#.to_owned(),
        ] {
            assert_eq!(again(&line), format!("{line}\n"));
        }
    }

    #[test]
    fn invalid_lines_say_why() {
        let of = ConversationId::new("c").unwrap();
        let message = r#"{"record":"message","conversation":"c","seq":1,"id":"m","created_at_us":5,"body":{"role":"user","content":""}}"#;
        for (line, expected) in [
            ("", "EOF"),
            ("{}", "missing field `record`"),
            (r#"{"record":"x"}"#, "neither"),
            (&message.replace("\"seq\":1", "\"seq\":0"), "seq: not a whole number"),
            (&message.replace(":\"c\"", ":\"d\""), "a message of d"),
            (&message.replace("\"user\"", "\"bot\""), "unknown role"),
            (&message.replace("\"role\"", "\"id\":\"other\",\"role\""), "id: not the id"),
            (
                r#"{"record":"record","conversation":null,"key":"b","revision":7,"content_type":"a/b","updated_at_us":5,"value":""}"#,
                "a record of an owner",
            ),
            (
                r#"{"record":"record","conversation":"c","key":"b","revision":0,"content_type":"a/b","updated_at_us":5,"value":""}"#,
                "revision: not a whole number",
            ),
            (
                r#"{"record":"record","conversation":"c","key":"b","revision":1,"content_type":"a/b","updated_at_us":5}"#,
                "either value or base64",
            ),
            (
                r#"{"record":"record","conversation":"c","key":"","revision":1,"content_type":"a/b","updated_at_us":5,"value":""}"#,
                "not a key",
            ),
            (&CONVERSATION.replace("ann", "a n n"), "owner: not an owner id"),
            (&CONVERSATION.replace("\"version\":7", "\"version\":-7"), "version: not a whole number"),
            (&CONVERSATION.replace("\"version\"", "\"edition\""), "missing field `version`"),
            (&CONVERSATION.replace("\"title\"", "\"name\""), "unknown field `name`"),
            (&CONVERSATION.replace("{\"k\":\"v\"}", "[]"), "metadata: not an object"),
        ] {
            let error = read_line(line, Some(&of)).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
