//! A line of an export: what is taken is written as a line that reads the same.
#![no_main]

use conversation_core::{ConversationId, read_line, write_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let of = ConversationId::new("c").unwrap();
    let Ok(record) = read_line(text, Some(&of)) else { return };
    let mut written = Vec::new();
    write_line(&record, Some(&of), &mut written).unwrap();
    let written = String::from_utf8(written).unwrap();
    assert_eq!(written.find('\n'), Some(written.len() - 1), "{written}");
    assert_eq!(read_line(&written, Some(&of)).unwrap(), record);
});
