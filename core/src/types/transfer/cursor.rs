//! Where a page of an owner's export ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Exported;
use crate::types::error::{Invalid, Problem};

/// The place behind a line. Lines come in one order, so that it is one whether or not what it names still exists.
///
/// As text it is opaque. What it can reach is always bounded by the owner of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportCursor {
    /// Behind a record of the owner's own, of this key; empty: behind the owner's line.
    #[serde(rename = "o")]
    OwnerRecord(String),
    /// Behind the message at this position of a conversation; 0: behind the conversation's line.
    #[serde(rename = "m")]
    Message(String, i64),
    /// Behind the record of this key of a conversation.
    #[serde(rename = "r")]
    Record(String, String),
}

impl ExportCursor {
    /// The place behind a line, which follows that at another place; none there: it is the first.
    pub(crate) fn behind(line: &Exported, before: Option<Self>) -> Self {
        match (line, before) {
            (Exported::Conversation(conversation), _) => {
                Self::Message(conversation.key.id.as_str().to_owned(), 0)
            }
            (Exported::Message(message), Some(Self::Message(id, _) | Self::Record(id, _))) => {
                Self::Message(id, message.seq)
            }
            (Exported::Record(record), Some(Self::Message(id, _) | Self::Record(id, _))) => {
                Self::Record(id, record.key.as_str().to_owned())
            }
            (Exported::Record(record), _) => Self::OwnerRecord(record.key.as_str().to_owned()),
            (Exported::Owner(_) | Exported::Message(_), _) => Self::OwnerRecord(String::new()),
        }
    }

    /// The conversation that it is in.
    pub(crate) fn conversation(&self) -> Option<&str> {
        match self {
            Self::OwnerRecord(_) => None,
            Self::Message(id, _) | Self::Record(id, _) => Some(id),
        }
    }

    /// The cursor as text.
    pub fn encode(&self) -> String {
        // Every part of it has a JSON form.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor.
    ///
    /// # Errors
    /// [`Problem::NotACursor`].
    pub fn decode(text: &str) -> Result<Self, Invalid> {
        let invalid = || Problem::NotACursor.of("after");
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let cursor: Self = serde_json::from_slice(&json).map_err(|_| invalid())?;
        let has_nul = match &cursor {
            Self::OwnerRecord(key) => key.contains('\0'),
            Self::Message(id, _) => id.contains('\0'),
            Self::Record(id, key) => id.contains('\0') || key.contains('\0'),
        };
        if has_nul { Err(invalid()) } else { Ok(cursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for cursor in [
            ExportCursor::OwnerRecord("a/é".into()),
            ExportCursor::Message("c".into(), 7),
            ExportCursor::Record("c".into(), "k".into()),
        ] {
            assert_eq!(ExportCursor::decode(&cursor.encode()), Ok(cursor));
        }
        for bad in ["", "e30", "%", "eyJtIjpbImMiXX0", &URL_SAFE_NO_PAD.encode(r#"{"o":"\u0000"}"#)] {
            assert_eq!(ExportCursor::decode(bad).unwrap_err().problem, Problem::NotACursor, "{bad}");
        }
    }
}
