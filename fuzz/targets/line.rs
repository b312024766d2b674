//! A line of an export: what is taken is written as a line that reads the same.
#![no_main]

use conversation_cli::line;
use conversation_core::ConversationId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let of = ConversationId::new("c").unwrap();
    let Ok(record) = line::read(text, Some(&of)) else { return };
    let mut written = Vec::new();
    line::write(&record, &of, &mut written).unwrap();
    let written = String::from_utf8(written).unwrap();
    assert_eq!(written.find('\n'), Some(written.len() - 1), "{written}");
    assert_eq!(line::read(&written, Some(&of)).unwrap(), record);
});
