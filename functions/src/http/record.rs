//! Records in requests and answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation_core::{
    ContentType, Invalid, Precondition, Problem, Record, RecordBatch, RecordChange, RecordKey, RecordOutcome,
    RecordValue, WrittenRecord,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::{elements, read_fields};
use super::failure::Failure;
use super::request::called;

/// What the records of a body are called.
pub(crate) const RECORDS: &str = "records";

/// The records of a body's array; none: there is no array.
///
/// # Errors
/// One of them breaks a rule, or they do together.
pub(crate) fn record_batch(array: Option<&RawValue>) -> Result<RecordBatch, Failure> {
    let Some(array) = array else { return Ok(RecordBatch::default()) };
    let elements = elements(array, RECORDS)?;
    // Refused before any of them is parsed.
    if elements.len() > conversation_core::RECORD_BATCH {
        return Err(Problem::TooManyRecords { max: conversation_core::RECORD_BATCH }.of(RECORDS).into());
    }
    let changes = elements.iter().enumerate().map(|(at, element)| {
        change(element.get()).map_err(|invalid| invalid.within(&format!("{RECORDS}[{at}]")))
    });
    Ok(RecordBatch::new(changes.collect::<Result<_, _>>()?)?)
}

fn change(json: &str) -> Result<RecordChange, Invalid> {
    let names = ["key", "value", "base64", "content_type", "if_match", "if_none_match", "delete"];
    let [key, value, base64, content_type, if_match, if_none_match, delete] = read_fields(json, names)?;
    let key = RecordKey::new(text(key.ok_or_else(|| Problem::Missing.of("key"))?, "key")?)?;
    let is_deleted = match delete.map(RawValue::get) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::Type { expected: "true or false" }.of("delete")),
    };
    let content_type = content_type.map(|name| text(name, "content_type")).transpose()?.map(ContentType::new);
    let content_type = content_type.transpose()?;
    let value = match (is_deleted, value, base64) {
        (true, None, None) if content_type.is_none() => None,
        (true, ..) => {
            return Err(Problem::Type { expected: "false, or the only thing that is said of the record" }
                .of("delete"));
        }
        (false, Some(value), None) => Some(RecordValue {
            bytes: text(value, "value")?.into_bytes(),
            content_type: content_type.unwrap_or_else(ContentType::text),
        }),
        (false, None, Some(base64)) => Some(RecordValue {
            bytes: STANDARD
                .decode(text(base64, "base64")?)
                .map_err(|_| Problem::Type { expected: "base64, with padding" }.of("base64"))?,
            content_type: content_type.unwrap_or_else(ContentType::bytes),
        }),
        (false, None, None) => return Err(Problem::Missing.of("value")),
        (false, Some(_), Some(_)) => {
            return Err(Problem::Type { expected: "left out beside value" }.of("base64"));
        }
    };
    Ok(RecordChange { key, value, precondition: condition(if_match, if_none_match)? })
}

/// What must hold of a record, in a body: a revision, or `"*"`.
fn condition(if_match: Option<&RawValue>, if_none_match: Option<&RawValue>) -> Result<Precondition, Invalid> {
    match (if_match.map(RawValue::get), if_none_match.map(RawValue::get)) {
        (None, None) => Ok(Precondition::None),
        (Some("\"*\""), None) => Ok(Precondition::Exists),
        (Some(revision), None) => {
            // 7.0 is 7 in JSON.
            let whole = revision.strip_suffix(".0").unwrap_or(revision);
            let revision = whole.parse().ok().filter(|revision| *revision > 0);
            let expected = "the revision of a record, or \"*\"";
            revision.map(Precondition::Version).ok_or_else(|| Problem::Type { expected }.of("if_match"))
        }
        (None, Some("\"*\"")) => Ok(Precondition::Absent),
        (None, Some(_)) => Err(Problem::Type { expected: "\"*\"" }.of("if_none_match")),
        (Some(_), Some(_)) => Err(Problem::Type { expected: "left out beside if_match" }.of("if_none_match")),
    }
}

/// A string of a record: what is not Unicode text is bytes, and sent as base64.
fn text(json: &RawValue, param: &'static str) -> Result<String, Invalid> {
    serde_json::from_str(json.get())
        .map_err(|_| Problem::Type { expected: "a string of Unicode text" }.of(param))
}

/// A record as it is answered, with its value if that was read: as text where it is UTF-8, unless base64 is asked for.
pub(crate) fn record_json(record: &Record, as_base64: bool) -> Value {
    let mut json = json!({
        "object": "record",
        "key": record.key.as_str(),
        "revision": record.revision,
        "size": record.size,
        "content_type": record.content_type.as_str(),
        "updated_at": record.updated_at,
    });
    match record.value.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => {}
        Some((_, Ok(text))) if !as_base64 => json["value"] = text.into(),
        Some((bytes, _)) => json["base64"] = STANDARD.encode(bytes).into(),
    }
    json
}

/// What was done of a record.
pub(crate) fn written_json(record: &WrittenRecord) -> Value {
    let key = record.key.as_str();
    match &record.outcome {
        RecordOutcome::Stored { revision, size, content_type } => json!({
            "object": "record", "key": key, "revision": revision, "size": size, "content_type": content_type.as_str(),
        }),
        RecordOutcome::Deleted(deleted) => {
            json!({ "object": "record.deletion", "key": key, "deleted": i32::from(*deleted) })
        }
    }
}

/// What was done of records, as a field of an answer; none: there were no records.
pub(crate) fn written_field(records: &[WrittenRecord]) -> Option<(&'static str, Value)> {
    (!records.is_empty()).then(|| (RECORDS, records.iter().map(written_json).collect()))
}

/// A key of the query.
///
/// # Errors
/// It is none.
pub(crate) fn key_of_query(text: &str, param: &'static str) -> Result<RecordKey, Failure> {
    Ok(RecordKey::new(text).map_err(called(param))?)
}
