//! What all sources answer: messages, and what is known about their conversations.

/// A row of a source's query: a message and its conversation. Times are Unix microseconds.
pub(super) struct Row {
    pub(super) session: String,
    pub(super) title: Option<String>,
    pub(super) metadata: Option<String>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) total: i64,
    pub(super) message: Option<MessageRow>,
}

/// A message as the source has it.
pub(super) struct MessageRow {
    pub(super) seq: i64,
    pub(super) row: String,
    pub(super) at: i64,
    pub(super) body: String,
}
