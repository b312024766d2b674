//! A message that a client sent: what is taken is kept to the byte, and is JSON with the store's fields added.
#![no_main]

use conversation_core::{MessageId, ExportedMessage, NewMessage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(_) = NewMessage::parse(text) else { return };
    let id = MessageId::new("m").unwrap();
    let record = match ExportedMessage::new(7, id, 1_700_000_000_000_000, text) {
        Ok(record) => record,
        Err(_) => ExportedMessage::named(7, "name", 1_700_000_000_000_000, text).unwrap(),
    };
    assert_eq!(record.json(), text.trim_matches([' ', '\t', '\r', '\n']));
    let answered = record.answered();
    let value: serde_json::Value = match serde_json::from_str(answered.json()) {
        Ok(value) => value,
        // An unpaired surrogate is JSON, though no text of Rust's; a number may be too large for a float.
        Err(error) => {
            let said = error.to_string();
            assert!(
                said.contains("surrogate") || said.contains("hex escape") || said.contains("out of range"),
                "{said}"
            );
            return;
        }
    };
    assert_eq!((&value["seq"], &value["id"]), (&7.into(), &record.id().as_str().into()));
    assert_eq!(conversation_core::Message::from_element(answered.element().into()).as_ref(), Some(&answered));
});
