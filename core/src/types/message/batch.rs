//! Messages that are stored together.

use std::collections::HashSet;

use crate::types::error::{Error, Invalid, Problem};
use crate::types::idempotency::IdempotencyKey;
use crate::types::precondition::Precondition;
use crate::types::record::RecordBatch;

use super::{MessageId, NewMessage, difference_of_messages};

/// The most messages that one add takes.
pub const BATCH: usize = 100;

/// One to a hundred messages that are stored together or not at all. No id stands twice.
#[derive(Clone, Debug)]
pub struct Batch {
    messages: Vec<NewMessage>,
    /// What belongs to the request and is not stored by it, with its place.
    apart: Vec<(usize, NewMessage)>,
    idempotency_key: Option<IdempotencyKey>,
    precondition: Precondition,
    records: RecordBatch,
    param: &'static str,
    compare: Compare,
}

/// Where a message that was sent differs from one that is stored under its id; none: they are the same.
pub type Compare = fn(sent: &str, stored: &str) -> Option<String>;

impl Batch {
    /// Without messages.
    pub(crate) fn none() -> Self {
        Self {
            messages: Vec::new(),
            apart: Vec::new(),
            idempotency_key: None,
            precondition: Precondition::None,
            records: RecordBatch::default(),
            param: "messages",
            compare: difference_of_messages,
        }
    }

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
        Ok(Self { messages, ..Self::none() })
    }

    /// The same, stored once however often it is tried under this key.
    #[must_use]
    pub fn under(self, key: Option<IdempotencyKey>) -> Self {
        Self { idempotency_key: key, ..self }
    }

    /// The same, stored only if that holds of the conversation.
    #[must_use]
    pub fn only_if(self, precondition: Precondition) -> Self {
        Self { precondition, ..self }
    }

    /// The same, with which these records are written: in the same commit. Of messages that were all stored before, none are.
    #[must_use]
    pub fn with_records(self, records: RecordBatch) -> Self {
        Self { records, ..self }
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

    /// The same, without storing those at these places, in rising order: what they stand for is stored.
    #[must_use]
    pub fn without(mut self, places: &[usize]) -> Self {
        let (apart, messages) =
            self.messages.into_iter().enumerate().partition::<Vec<_>, _>(|(at, _)| places.contains(at));
        self.apart = apart;
        self.messages = messages.into_iter().map(|(_, message)| message).collect();
        self
    }

    /// The same, in which the message at a place stands for one of another id.
    #[must_use]
    pub fn standing_for(mut self, place: usize, id: MessageId) -> Self {
        self.messages[place] = NewMessage { id, id_in_body: true, ..self.messages[place].clone() };
        self
    }

    /// All messages of the request in their places, those that it does not store among them.
    pub(crate) fn request(&self) -> Vec<&NewMessage> {
        let mut all: Vec<&NewMessage> = self.messages.iter().collect();
        for (place, message) in &self.apart {
            all.insert(*place, message);
        }
        all
    }

    /// Where a message stands in the request; `at` counts those that are stored.
    fn place(&self, at: usize) -> usize {
        self.apart.iter().fold(at, |place, (apart, _)| if *apart <= place { place + 1 } else { place })
    }

    /// Which of the messages that are stored stands at a place; none: that one is not stored.
    pub(crate) fn at_place(&self, place: usize) -> Option<usize> {
        (0..self.messages.len()).find(|at| self.place(*at) == place)
    }

    /// The path of a message in the request; `at` counts those that are stored.
    pub fn path(&self, at: usize) -> String {
        self.path_of_place(self.place(at))
    }

    pub(crate) fn path_of_place(&self, place: usize) -> String {
        if self.param.is_empty() { String::new() } else { format!("{}[{place}]", self.param) }
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
    pub fn messages(&self) -> &[NewMessage] {
        &self.messages
    }

    /// The records that are written with the messages.
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    pub(crate) fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    pub(crate) fn precondition(&self) -> Precondition {
        self.precondition
    }
}

/// A path within another one.
pub fn join(outer: &str, inner: &str) -> String {
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

    #[test]
    fn what_is_not_stored_keeps_its_place_in_the_request() {
        let message =
            |id: &str| NewMessage::parse(&format!(r#"{{"role":"user","content":"","id":"{id}"}}"#)).unwrap();
        let all: Vec<_> = ["a", "b", "c", "d", "e"].map(message).into();
        let batch = Batch::new(all.clone()).unwrap().without(&[0, 1, 3]);
        assert_eq!(batch.request(), all.iter().collect::<Vec<_>>());
        assert_eq!([batch.path(0), batch.path(1)], ["messages[2]", "messages[4]"]);
        assert_eq!([0, 2, 3, 4].map(|place| batch.at_place(place)), [None, Some(0), None, Some(1)]);
    }
}
