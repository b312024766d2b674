//! What reads text from outside, given much that is nearly right: whatever is taken comes back the same.

use conversation_core::{
    ConversationId, Cursor, Direction, Exported, ExportedMessage, IdentityConfig, Limit, Message, Order,
    OwnerId, read_line, write_line,
};
use conversation_functions::{ApiRequest, HttpEvent};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any JSON, and nothing too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A message that obeys the rules, with more fields, on one line or several.
fn a_message() -> impl Strategy<Value = String> {
    let role = prop::sample::select(vec!["user", "human", "assistant", "system", "developer", "tool"]);
    let id = prop::option::of("[a-z0-9][a-zA-Z0-9_.:@~+-]{0,20}");
    (role, ".{0,40}", id, any_json(), any::<bool>()).prop_map(|(role, content, id, more, pretty)| {
        let mut message = json!({ "role": role, "content": content, "more": more });
        if let Some(id) = id {
            message["id"] = id.into();
        }
        if pretty { serde_json::to_string_pretty(&message).unwrap() } else { message.to_string() }
    })
}

fn record(seq: i64, at: i64, json: &str) -> ExportedMessage {
    ExportedMessage::named(seq, "name", at, json).unwrap()
}

proptest! {
    #[test]
    fn a_message_is_kept_to_the_byte_wherever_it_goes(json in a_message(), seq in 1..i64::MAX, at in 0..253_402_300_799_999_999_i64) {
        let record = record(seq, at, &json);
        prop_assert_eq!(record.json(), json.as_str());
        let answered = record.answered();
        prop_assert_eq!(Message::from_element(answered.element().into()), Some(answered.clone()));
        let mut value: Value = serde_json::from_str(answered.json()).unwrap();
        let fields = value.as_object_mut().unwrap();
        prop_assert_eq!(fields.remove("seq"), Some(seq.into()));
        prop_assert_eq!(fields.remove("created_at"), Some((at / 1_000_000).into()));
        prop_assert_eq!(fields["id"].as_str(), Some(record.id().as_str()));

        let (of, mut out) = (ConversationId::new("c").unwrap(), Vec::new());
        write_line(&Exported::Message(record.clone()), Some(&of), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(out.matches(['\n', '\r']).count(), 1);
        prop_assert_eq!(read_line(&out, Some(&of)).unwrap(), Exported::Message(record));
    }

    #[test]
    fn no_element_line_or_cursor_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[0-9]{0,20} ?\\{.{0,30}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Some(message) = Message::from_element(bytes.to_vec()) {
                prop_assert_eq!(message.element().as_bytes(), bytes);
            }
            let text = String::from_utf8_lossy(bytes);
            let _ = read_line(&text, None).is_ok();
            let owner = OwnerId::new("ann").unwrap();
            let _ = Cursor::decode(&text, &owner, Order::Ascending, Direction::After).is_ok();
        }
    }

    /// A cursor is changed at one place: it is refused, or another one of the same list.
    #[test]
    fn a_changed_cursor_leads_nowhere_else(micros in 0..253_402_300_799_999_999_i64, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let owner = OwnerId::new("ann").unwrap();
        let decode = |text: &str| Cursor::decode(text, &owner, Order::Descending, Direction::After);
        let mut plain = format!("ad {:08x} {micros} c", fnv("ann")).into_bytes();
        let first = decode(&base64.encode(&plain)).unwrap();
        prop_assert_eq!(decode(&first.encode(&owner)).unwrap(), first);
        let at = at.index(plain.len());
        let is_changed = std::mem::replace(&mut plain[at], to) != to;
        if let Ok(cursor) = decode(&base64.encode(&plain)) {
            prop_assert_eq!(decode(&cursor.encode(&owner)).unwrap(), cursor);
            prop_assert!(at > 11 || !is_changed, "the direction, the order and the owner are as they were");
        }
    }

    #[test]
    fn a_line_with_something_else_in_it_is_refused_or_reads_the_same(field in 0..6_usize, value in any_json()) {
        let mut line = json!({
            "record": "message", "conversation": "c", "seq": 1, "id": "m", "created_at_us": 5,
            "body": { "role": "user", "content": "x" },
        });
        let name = ["record", "conversation", "seq", "id", "created_at_us", "body"][field];
        line[name] = value;
        let of = ConversationId::new("c").unwrap();
        if let Ok(record) = read_line(&line.to_string(), Some(&of)) {
            let mut out = Vec::new();
            write_line(&record, Some(&of), &mut out).unwrap();
            prop_assert_eq!(read_line(std::str::from_utf8(&out).unwrap(), Some(&of)).unwrap(), record);
        }
    }

    #[test]
    fn an_event_with_something_else_in_it_is_read_or_refused(
        field in 0..5_usize, value in any_json(), path in "(/v1)?(/conversations)?/[^/]{0,8}(/(items|messages))?(/.{0,8})?",
        query in "([a-z_]{0,12}=[a-z0-9%+-]{0,8}&?){0,3}", body in ".{0,60}",
    ) {
        let mut event: Value = serde_json::from_str(include_str!("../../fuzz/corpus/event/add")).unwrap();
        event["rawPath"] = path.clone().into();
        event["requestContext"]["http"]["path"] = path.into();
        event["body"] = body.into();
        event["rawQueryString"] = query.into();
        event[["headers", "body", "isBase64Encoded", "queryStringParameters", "pathParameters"][field]] = value;
        let identity = IdentityConfig::TrustedHeader { default_owner: None };
        if let Ok(event) = serde_json::from_str::<HttpEvent>(&event.to_string())
            && let Ok(mut call) = ApiRequest::read(event, &identity)
        {
            let _ = (call.limit(Limit::MAX).is_ok(), call.min_version().is_ok(), call.range().is_ok());
            let _ = (call.items().is_ok(), call.item_id().is_ok(), call.batch().is_ok(), call.new_items().is_ok());
            let _ = (call.new_conversation().is_ok(), call.change().is_ok(), call.key().is_ok());
        }
    }
}

/// What cursors call their owner.
fn fnv(owner: &str) -> u32 {
    owner.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[test]
fn what_fuzzing_begins_with_is_taken() {
    let corpus = |target: &str| -> Vec<Vec<u8>> {
        let folder = conversation_local::workspace().join("fuzz/corpus").join(target);
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect()
    };
    let of = ConversationId::new("c").unwrap();
    for bytes in corpus("line") {
        read_line(std::str::from_utf8(&bytes).unwrap(), Some(&of)).unwrap();
    }
    for bytes in corpus("message") {
        ExportedMessage::named(1, "name", 1, std::str::from_utf8(&bytes).unwrap()).unwrap();
    }
    for bytes in corpus("event") {
        let event: HttpEvent = serde_json::from_slice(&bytes).unwrap();
        ApiRequest::read(event, &IdentityConfig::Jwt { claim: "sub".into() }).unwrap();
    }
    assert!(corpus("element").into_iter().all(|bytes| Message::from_element(bytes).is_some()));
}
