//! Lists the items of a conversation.

use conversation_core::{
    Anchor, ConversationKey, ConversationStore, Error, Limit, Message, MessageId, MessagePage, Order,
    Problem, Range, Read,
};

use super::unchanged::unchanged;
use crate::http::{ApiRequest, ApiResponse, Calls, Failure, Item, ItemId, Items, called, fit, list};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, (order, after), min_version) =
        (request.limit(Limit::LIST)?, request.items()?, request.min_version()?);
    // Where a page begins after an item, that has to be found first.
    if after.is_none()
        && let Some(unchanged) = unchanged(store, &request, &key, min_version).await?
    {
        return Ok(unchanged);
    }
    let read = records(store, &key, order, after.as_ref(), limit, min_version).await;
    let (Read { found, source }, begins_within) = read.map_err(Failure::about(Some(&key.id)))?;
    let Some(page) = found else { return Err(Failure::no_conversation(key.id.as_str()).read_from(source)) };
    let items = with_calls(store, &key, &page.items).await.map_err(Failure::about(Some(&key.id)))?;
    let items = in_order(items, order, after.as_ref().filter(|_| begins_within))?;
    if request.knows(page.version) {
        return Ok(ApiResponse::unchanged(page.version).read_from(source));
    }
    let response = response(items, page.has_more, request.answer_bytes(), limit);
    Ok(response.at_version(page.version).read_from(source))
}

impl ApiRequest {
    /// In which order items are listed, and after which of them.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`, or `after` no id.
    pub fn items(&self) -> Result<(Order, Option<ItemId>), Failure> {
        // A plus that was not encoded arrives as a space, which no id has.
        let after = self.query("after")?.map(|after| ItemId::new(&after.replace(' ', "+")));
        Ok((self.order()?, after.transpose().map_err(called("after"))?))
    }
}

/// The records that a page begins with, oldest first: as many as the page has items, and where it begins within a record, as
/// the answer says, that one, too.
async fn records(
    store: &ConversationStore,
    key: &ConversationKey,
    order: Order,
    after: Option<&ItemId>,
    limit: Limit,
    min_version: Option<i64>,
) -> Result<(Read<MessagePage>, bool), Error> {
    let Some(after) = after else {
        let read = match order {
            Order::Descending => store.recent(key, limit, min_version).await,
            Order::Ascending => store.history(key, Range::After(0), limit, min_version).await,
        };
        return Ok((read?, false));
    };
    let beside = async |id: &MessageId| {
        let anchor = match order {
            Order::Descending => Anchor::Before(id.clone()),
            Order::Ascending => Anchor::After(id.clone()),
        };
        store.adjacent_to(key, &anchor, limit, min_version).await
    };
    let unknown = || Err(Problem::UnknownMessage.of("after").into());
    let read = match &after.record {
        Some(record) => beside(record).await,
        None => unknown(),
    };
    let (Err(Error::Invalid(_)), Some(whole)) = (&read, &after.whole) else { return Ok((read?, false)) };
    let (read, record) = tokio::join!(beside(whole), store.message(key, whole));
    let (mut read, record) = (read?, record?.found.map(|at| at.message));
    let begins_within = record.is_some();
    if let (Some(page), Some(record)) = (&mut read.found, record) {
        match order {
            Order::Descending => page.items.push(record),
            Order::Ascending => page.items.insert(0, record),
        }
    }
    Ok((read, begins_within))
}

/// Records as items. Where one is the result of a call that is in none of them, the calls are looked for in what came before.
pub(super) async fn with_calls(
    store: &ConversationStore,
    key: &ConversationKey,
    records: &[Message],
) -> Result<Vec<Item>, Error> {
    let Items { items, lacks_calls } = Items::of(records, Calls::default());
    let Some(first) = records.first().filter(|_| lacks_calls) else { return Ok(items) };
    let earlier = store.history(key, Range::Before(first.seq()), Limit::MAX, None).await?;
    let earlier = earlier.found.map(|page| page.items).unwrap_or_default();
    Ok(Items::of(records, Calls::of(&earlier)).items)
}

/// Items in either order; of a page that begins within a record, what comes after that item.
///
/// # Errors
/// The record has no such item.
fn in_order(mut items: Vec<Item>, order: Order, after: Option<&ItemId>) -> Result<Vec<Item>, Failure> {
    if order == Order::Descending {
        items.reverse();
    }
    if let Some(after) = after {
        let at = items.iter().position(|item| after.names(item));
        items.drain(..=at.ok_or_else(|| Problem::UnknownMessage.of("after"))?);
    }
    Ok(items)
}

/// A page of items. Where they do not all fit into an answer, the first ones stay.
fn response(mut items: Vec<Item>, more_records: bool, answer_bytes: usize, limit: Limit) -> ApiResponse {
    let more_items = items.len() > limit.get();
    items.truncate(limit.get());
    let has_more = fit(&mut items, answer_bytes, true) || more_items || more_records;
    ApiResponse::new(list(&items, &[], &[("has_more", has_more.into())])).of_window()
}
