//! Reads the last messages of a conversation, or pages through its history.

use conversation_core::{ConversationStore, Limit, Message, MessagePage, Range};

use super::unchanged::unchanged;
use crate::http::{ApiRequest, ApiResponse, Failure, fit, list, one_direction};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, range, min_version) = (request.limit(Limit::MAX)?, request.range()?, request.min_version()?);
    if let Some(unchanged) = unchanged(store, &request, &key, min_version).await? {
        return Ok(unchanged);
    }
    let read = match range {
        None => store.recent(&key, limit, min_version).await,
        Some(range) => store.history(&key, range, limit, min_version).await,
    };
    let forward = matches!(range, Some(Range::After(_)));
    // Where nothing follows yet, the next look begins at the same place.
    let from = match range {
        Some(Range::After(at)) => Some(at),
        Some(Range::Before(_)) => None,
        None => Some(0),
    };
    ApiResponse::found(read, &key.id, |page| response(page, request.answer_bytes(), forward, from))
}

impl ApiRequest {
    /// Which part of the history is meant; none: the last messages.
    ///
    /// # Errors
    /// `before` or `after` is no position, or both are given.
    pub fn range(&self) -> Result<Option<Range>, Failure> {
        match (self.number("before", 1)?, self.number("after", 0)?) {
            (Some(_), Some(_)) => Err(one_direction()),
            (Some(at), None) => Ok(Some(Range::Before(at))),
            (None, Some(at)) => Ok(Some(Range::After(at))),
            (None, None) => Ok(None),
        }
    }
}

/// Messages, oldest first. `before` and `after` are the positions to ask for next to get what lies beside them:
/// `before` is null where there is nothing older; newer messages may always come, so that an empty page has an `after`, too.
///
/// Where they do not all fit into an answer, those nearest to where the reading began stay.
fn response(mut page: MessagePage, answer_bytes: usize, forward: bool, from: Option<i64>) -> ApiResponse {
    if fit(&mut page.items, answer_bytes, forward) {
        page.has_more = true;
    }
    // Positions begin at 1, so that only what lies before a later one can be older.
    let oldest =
        page.items.first().map(Message::seq).filter(|seq| if forward { *seq > 1 } else { page.has_more });
    let edges = [
        ("has_more", page.has_more.into()),
        ("before", oldest.into()),
        ("after", page.items.last().map(Message::seq).or(from).into()),
    ];
    ApiResponse::new(list(&page.items, &[], &edges)).at_version(page.version).of_window()
}
