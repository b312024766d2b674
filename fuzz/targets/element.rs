//! An element of a cached window, `<seq> <json>`: what is read is what stood there.
#![no_main]

use conversation_core::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = Message::from_element(bytes.to_vec()) {
        assert!(message.json().starts_with('{') && bytes.ends_with(message.json().as_bytes()));
        assert_eq!(message.element().as_bytes(), bytes);
    }
});
