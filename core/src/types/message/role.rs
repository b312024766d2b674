//! Who speaks.

/// Who speaks, in the vocabulary of Chat Completions. LangChain's `human` and `ai` are read as aliases; what is stored
/// and answered is the client's own spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The same, under its newer name.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
    /// The result of a function, before there were tools.
    Function,
}

impl Role {
    /// The role of that name, or alias; none: it is none.
    pub fn parse(role: &str) -> Option<Self> {
        Some(match role {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" | "human" => Self::User,
            "assistant" | "ai" => Self::Assistant,
            "tool" => Self::Tool,
            "function" => Self::Function,
            _ => return None,
        })
    }
}
