//! Arguments that several commands take.

use conversation_core::{ConversationId, OwnerId};

/// Parses an owner.
pub(crate) fn owner(text: &str) -> Result<OwnerId, String> {
    OwnerId::new(text).map_err(|invalid| invalid.problem.to_string())
}

/// Parses a conversation's id.
pub(crate) fn conversation(text: &str) -> Result<ConversationId, String> {
    ConversationId::new(text).map_err(|invalid| invalid.problem.to_string())
}
