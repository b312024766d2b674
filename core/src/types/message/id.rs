//! What messages are called.

use uuid::Uuid;

use crate::types::conversation::checked_id;
use crate::types::error::Invalid;

/// A message's id, unique in its conversation: the same rule as for [`ConversationId`](crate::ConversationId).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(pub(super) String);

impl MessageId {
    /// What OpenAI's Agents SDK calls every item that a model of another provider has produced (`FAKE_RESPONSES_ID`): it names none.
    pub const PLACEHOLDER: &str = "__fake_id__";

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

    /// What a part of a record is called, in a view in which one record reads as several items: it follows from the record's id,
    /// the part's type and its place, from 0.
    pub fn of_part(record: &str, kind: &str, at: usize) -> String {
        format!("{}_{record}_{at}", prefix(kind))
    }

    /// The record whose part may be called so; none: no part is.
    pub fn record_of(part: &str) -> Option<Self> {
        let (rest, at) = part.rsplit_once('_')?;
        let (kind, record) = rest.split_once('_')?;
        let is_place = !at.is_empty() && at.len() <= 4 && at.bytes().all(|byte| byte.is_ascii_digit());
        let is_prefix = ["msg", "fc", "fco", "ctc", "ctco", "rs"].contains(&kind);
        (is_place && is_prefix).then(|| Self::new(record).ok()).flatten()
    }
}

/// What OpenAI's ids of such items begin with: its Responses API refuses items whose ids begin otherwise, and what is
/// read here may be sent there.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "message" => "msg",
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
        "tool_search_call" => "tsc",
        "tool_search_output" => "tso",
        _ => "item",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_leads_back_to_its_record() {
        for record in ["msg_0198c2f0", "m-1", "a_b_7", "-_"] {
            let part = MessageId::of_part(record, "function_call", 12);
            assert_eq!(part, format!("fc_{record}_12"));
            assert_eq!(MessageId::record_of(&part).unwrap().as_str(), record);
        }
        for none in ["msg_0198c2f0", "fc_1", "xx_a_1", "fc_a_", "fc_a_1x", ""] {
            assert_eq!(MessageId::record_of(none), None, "{none}");
        }
    }

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
