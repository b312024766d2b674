//! A cursor that a client sent: what is taken comes back the same.
#![no_main]

use conversation_core::{Cursor, Direction, Order, OwnerId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let owner = OwnerId::new("ann").unwrap();
    for (order, direction) in [
        (Order::Ascending, Direction::After),
        (Order::Ascending, Direction::Before),
        (Order::Descending, Direction::After),
        (Order::Descending, Direction::Before),
    ] {
        if let Ok(cursor) = Cursor::decode(text, &owner, order, direction) {
            assert_eq!(Cursor::decode(&cursor.encode(&owner), &owner, order, direction).unwrap(), cursor);
        }
    }
});
