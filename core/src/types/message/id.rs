//! What messages are called.

use uuid::Uuid;

use crate::types::conversation::checked_id;
use crate::types::error::Invalid;

/// A message's id, unique in its conversation: the same rule as for [`ConversationId`](crate::ConversationId).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// Checks an id that a client chose.
    ///
    /// # Errors
    /// [`Problem::NotAnId`](crate::Problem::NotAnId).
    pub fn new(id: impl Into<String>) -> Result<Self, Invalid> {
        checked_id(id.into(), "id").map(Self)
    }

    /// A new id: a prefix and a UUIDv7. `kind` is the type of an item that is no message.
    pub(crate) fn generate(kind: Option<&str>) -> Self {
        Self(format!("{}_{}", kind.map_or("msg", prefix), Uuid::now_v7().simple()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What OpenAI's ids of such items begin with: its Responses API refuses items whose ids begin otherwise, and what is
/// read here may be sent there.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "function_call" => "fc",
        // Both the prefix of a call and one of its own are taken for it.
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        "reasoning" => "rs",
        "web_search_call" => "ws",
        "file_search_call" => "fs",
        "image_generation_call" => "ig",
        "code_interpreter_call" => "ci",
        "computer_call" => "cu",
        "computer_call_output" => "cuo",
        "local_shell_call" => "lsh",
        "shell_call" => "sh",
        "shell_call_output" => "sho",
        "apply_patch_call" => "apc",
        "apply_patch_call_output" => "apco",
        "mcp_list_tools" => "mcpl",
        "mcp_approval_request" => "mcpr",
        "mcp_call" => "mcp",
        "compaction" => "cmp",
        _ => "item",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_what_it_is_of() {
        for (kind, expected) in [
            (None, "msg_"),
            (Some("function_call"), "fc_"),
            (Some("reasoning"), "rs_"),
            (Some("new"), "item_"),
        ] {
            let id = MessageId::generate(kind);
            assert!(id.as_str().starts_with(expected), "{id:?}");
            assert_eq!(MessageId::new(id.as_str()).unwrap(), id);
        }
        assert_ne!(MessageId::generate(None), MessageId::generate(None));
    }
}
