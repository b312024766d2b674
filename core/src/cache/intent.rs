//! A write intent: what a writer places in the entry before it commits, and what it learned by that.

use uuid::Uuid;

use crate::types::snapshot::IntentOutcome;

/// The field that marks one attempt of one write.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    operation: Uuid,
    attempt: u32,
}

impl Intent {
    pub(crate) fn new() -> Self {
        Self { operation: Uuid::now_v7(), attempt: 0 }
    }

    /// The intent of the operation's next attempt.
    pub(crate) fn next(&self) -> Self {
        Self { operation: self.operation, attempt: self.attempt + 1 }
    }

    pub(super) fn field(&self) -> String {
        format!("intent:{}:{}", self.operation.simple(), self.attempt)
    }
}

/// An intent that is set, and what begin learned.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(super) intent: Intent,
    pub(super) replid: String,
    pub(super) epoch: Option<i64>,
    pub(super) valid: bool,
    pub(super) complete: bool,
}

impl Begun {
    pub(crate) fn intent(&self) -> &Intent {
        &self.intent
    }

    pub(crate) fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// What the commit needs to know of it.
    pub(crate) fn outcome(&self) -> IntentOutcome {
        IntentOutcome::Placed { epoch: self.epoch, valid: self.valid, complete: self.complete }
    }
}
