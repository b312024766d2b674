//! Messages that are stored together.

use std::collections::HashSet;

use crate::types::error::{Invalid, Problem};
use crate::types::idempotency::IdempotencyKey;

use super::NewMessage;

/// The most messages that one add takes.
pub const BATCH: usize = 100;
/// One to a hundred messages that are stored together or not at all. No id stands twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    messages: Vec<NewMessage>,
    idempotency_key: Option<IdempotencyKey>,
}

impl Batch {
    /// Checks what holds for the messages together.
    ///
    /// # Errors
    /// [`Problem::Empty`], [`Problem::TooManyMessages`] or [`Problem::RepeatedId`].
    pub fn new(messages: Vec<NewMessage>) -> Result<Self, Invalid> {
        if messages.is_empty() {
            return Err(Problem::Empty.of("messages"));
        }
        Self::initial(messages)
    }

    /// The messages that a new conversation begins with: there may be none.
    ///
    /// # Errors
    /// As [`Batch::new`], but for [`Problem::Empty`].
    pub fn initial(messages: Vec<NewMessage>) -> Result<Self, Invalid> {
        Self::check(&messages)?;
        Ok(Self { messages, idempotency_key: None })
    }

    /// The same, stored once however often it is tried under this key.
    #[must_use]
    pub fn under(self, key: Option<IdempotencyKey>) -> Self {
        Self { idempotency_key: key, ..self }
    }

    fn check(messages: &[NewMessage]) -> Result<(), Invalid> {
        if messages.len() > BATCH {
            return Err(Problem::TooManyMessages { max: BATCH }.of("messages"));
        }
        let mut seen = HashSet::new();
        for (at, message) in messages.iter().enumerate() {
            if !seen.insert(&message.id) {
                return Err(Problem::RepeatedId.of(format!("messages[{at}].id")));
            }
        }
        Ok(())
    }

    /// The messages, in order.
    pub(crate) fn messages(&self) -> &[NewMessage] {
        &self.messages
    }

    pub(crate) fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_1_to_100_messages_and_no_id_twice() {
        let message =
            |id: &str| NewMessage::parse(&format!(r#"{{"role":"user","content":"","id":"{id}"}}"#)).unwrap();
        assert_eq!(Batch::new(vec![]).unwrap_err().problem, Problem::Empty);
        assert!(Batch::initial(vec![]).is_ok());
        let hundred: Vec<_> = (0..100).map(|n| message(&n.to_string())).collect();
        assert!(Batch::new(hundred.clone()).is_ok());
        let more = [hundred, vec![message("x")]].concat();
        assert_eq!(Batch::new(more).unwrap_err().problem, Problem::TooManyMessages { max: 100 });
        let twice = Batch::new(vec![message("a"), message("b"), message("a")]).unwrap_err();
        assert_eq!((twice.param.as_str(), twice.problem), ("messages[2].id", Problem::RepeatedId));
    }
}
