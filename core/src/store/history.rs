//! Reads of the history, which Postgres alone has in whole.

use crate::database::MessageRange;
use crate::types::conversation::ConversationKey;
use crate::types::error::{Error, Problem};
use crate::types::message::MessageId;
use crate::types::page::{Anchor, Limit, MessageAtVersion, MessagePage, Range};
use crate::types::read::{Read, Source, check_version};

use super::ConversationStore;

impl ConversationStore {
    /// Reads the messages next to a position, oldest first: from Postgres, which alone has all of them.
    ///
    /// # Errors
    /// [`Error::VersionAhead`], [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn history(
        &self,
        key: &ConversationKey,
        range: Range,
        limit: Limit,
        min_version: Option<i64>,
    ) -> Result<Read<MessagePage>, Error> {
        let message_range = self.database().message_range(key, range, limit).await?;
        page(message_range, matches!(range, Range::Before(_)), limit, min_version)
    }

    /// Reads the messages next to another one, oldest first: from Postgres, as [`ConversationStore::history`].
    ///
    /// # Errors
    /// [`Problem::UnknownMessage`], or as [`ConversationStore::history`].
    pub async fn adjacent_to(
        &self,
        key: &ConversationKey,
        anchor: &Anchor,
        limit: Limit,
        min_version: Option<i64>,
    ) -> Result<Read<MessagePage>, Error> {
        let message_range = self.database().messages_adjacent_to(key, anchor, limit).await?;
        page(message_range, matches!(anchor, Anchor::Before(_)), limit, min_version)
    }

    /// Reads one message, wherever it is in the history: from Postgres.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn message(
        &self,
        key: &ConversationKey,
        id: &MessageId,
    ) -> Result<Read<MessageAtVersion>, Error> {
        Ok(Read { found: self.database().message(key, id).await?, source: Source::Bypass })
    }
}

/// Makes a page of a range: without the message beyond the limit, which says only that there are more.
fn page(
    message_range: Option<MessageRange>,
    backwards: bool,
    limit: Limit,
    min_version: Option<i64>,
) -> Result<Read<MessagePage>, Error> {
    let Some(MessageRange { version, anchor_found, messages: mut items }) = message_range else {
        return Ok(Read { found: None, source: Source::Bypass });
    };
    check_version(min_version, version)?;
    if !anchor_found {
        return Err(Problem::UnknownMessage.of("after").into());
    }
    let has_more = items.len() > limit.get();
    if has_more {
        items.remove(if backwards { 0 } else { limit.get() });
    }
    Ok(Read { found: Some(MessagePage { version, items, has_more }), source: Source::Bypass })
}
