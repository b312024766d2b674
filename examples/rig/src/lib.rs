//! The tests are what there is to see: `tests/conformance.rs`.
