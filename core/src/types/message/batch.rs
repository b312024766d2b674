//! Messages that are stored together.

use std::collections::HashSet;

use crate::types::error::{Error, Invalid, Problem};
use crate::types::idempotency::IdempotencyKey;

use super::{NewMessage, difference_of_messages};

/// The most messages that one add takes.
pub const BATCH: usize = 100;
/// One to a hundred messages that are stored together or not at all. No id stands twice.
#[derive(Clone, Debug)]
pub struct Batch {
    messages: Vec<NewMessage>,
    idempotency_key: Option<IdempotencyKey>,
    param: &'static str,
    compare: Compare,
}

/// Where a message that was sent differs from one that is stored under its id; none: they are the same.
pub type Compare = fn(sent: &str, stored: &str) -> Option<String>;

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
        Ok(Self { messages, idempotency_key: None, param: "messages", compare: difference_of_messages })
    }

    /// The same, stored once however often it is tried under this key.
    #[must_use]
    pub fn under(self, key: Option<IdempotencyKey>) -> Self {
        Self { idempotency_key: key, ..self }
    }

    /// The same, whose messages the caller sent under that name, or one by itself under none. Errors say where they stand.
    #[must_use]
    pub fn called(self, param: &'static str) -> Self {
        Self { param, ..self }
    }

    /// The same, with another rule for when a message that is sent again is the same; by default [`difference_of_messages`].
    #[must_use]
    pub fn compared_by(self, compare: Compare) -> Self {
        Self { compare, ..self }
    }

    /// Where a message stands in the request.
    pub(crate) fn path(&self, at: usize) -> String {
        if self.param.is_empty() { String::new() } else { format!("{}[{at}]", self.param) }
    }

    /// Where a message that was sent differs from one that is stored.
    pub(crate) fn compare(&self, sent: &str, stored: &str) -> Option<String> {
        (self.compare)(sent, stored)
    }

    /// The messages, with what is stored in the place of those that were stored before: of the same value, in another spelling.
    ///
    /// # Errors
    /// [`Error::MessageConflict`]: one is another message.
    pub(crate) fn as_stored(&self, stored: &[(String, String)]) -> Result<Vec<NewMessage>, Error> {
        let known = |message: &NewMessage| stored.iter().find(|(id, _)| *id == message.id.as_str());
        let as_stored = |(at, message): (usize, &NewMessage)| {
            let Some((id, body)) = known(message) else { return Ok(message.clone()) };
            match (self.compare)(&message.body, body) {
                None => Ok(NewMessage::stored(message.id.clone(), body.clone())),
                Some(path) => {
                    Err(Error::MessageConflict { id: id.clone(), path: join(&self.path(at), &path) })
                }
            }
        };
        self.messages.iter().enumerate().map(as_stored).collect()
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

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages, in order.
    pub(crate) fn messages(&self) -> &[NewMessage] {
        &self.messages
    }

    pub(crate) fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }
}

/// A path within another one.
pub(crate) fn join(outer: &str, inner: &str) -> String {
    let dot = if outer.is_empty() || inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{dot}{inner}")
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
