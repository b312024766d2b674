//! Reads the last messages of a conversation, or pages through its history.

use conversation_core::{ConversationStore, Limit, Message, MessagePage, Problem, Range, Role};

use super::unchanged::unchanged;
use crate::http::{ApiRequest, ApiResponse, Failure, fit, list, one_direction};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, range, min_version) = (request.limit(Limit::MAX)?, request.range()?, request.min_version()?);
    let start_on = request.start_on()?;
    if let Some(unchanged) = unchanged(store, &request, &key, min_version).await? {
        return Ok(unchanged);
    }
    let read = match range {
        None => store.recent(&key, limit, min_version).await,
        Some(range) => store.history(&key, range, limit, min_version).await,
    };
    ApiResponse::found(read, &key.id, |page| response(page, request.answer_bytes(), range, start_on))
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

    /// The role that the first message of a page is to have.
    ///
    /// # Errors
    /// `start_on` is no role.
    pub(crate) fn start_on(&self) -> Result<Option<Role>, Failure> {
        let role = |name: &str| {
            Role::parse(name).ok_or_else(|| Problem::UnknownRole { role: name.to_owned() }.of("start_on"))
        };
        Ok(self.query("start_on")?.map(role).transpose()?)
    }
}

/// Messages, oldest first. `before` and `after` are the positions to ask for next to get what lies beside them:
/// `before` is null where there is nothing older; newer messages may always come, so that there always is an `after`.
///
/// Where they do not all fit into an answer, those nearest to where the reading began stay.
///
/// With `start_on` the messages before the first of that role are left out; the positions are those of the page without it, so
/// that paging misses none.
fn response(
    mut page: MessagePage,
    answer_bytes: usize,
    range: Option<Range>,
    start_on: Option<Role>,
) -> ApiResponse {
    let forward = matches!(range, Some(Range::After(_)));
    if fit(&mut page.items, answer_bytes, forward) {
        page.has_more = true;
    }
    let (first, last) = (page.items.first().map(Message::seq), page.items.last().map(Message::seq));
    // Of an empty page, the place where it was looked for: there both directions meet.
    let (oldest, newest) = match range {
        Some(Range::After(at)) => (first.or(at.checked_add(1)), last.unwrap_or(at)),
        Some(Range::Before(at)) => (first, last.unwrap_or(at - 1)),
        None => (first, last.unwrap_or(0)),
    };
    // Positions begin at 1, so that only what lies before a later one can be older.
    let oldest = oldest.filter(|seq| if forward { *seq > 1 } else { page.has_more });
    if let Some(role) = start_on {
        let first = page.items.iter().position(|message| message.role() == Some(role));
        page.items.drain(..first.unwrap_or(page.items.len()));
    }
    let edges = [("has_more", page.has_more.into()), ("before", oldest.into()), ("after", newest.into())];
    ApiResponse::new(list(&page.items, &[], &edges)).at_version(page.version).of_window()
}
