//! Lists the items of a conversation.

use conversation_core::{
    Anchor, ConversationKey, ConversationStore, Error, Limit, Message, MessageId, Order, Page, Problem,
    Range, Read,
};

use crate::http::{ApiRequest, ApiResponse, Calls, Failure, Item, ItemId, Items, called, fit, list};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, (order, after), min_version) =
        (request.limit(Limit::LIST)?, request.items()?, request.min_version()?);
    let read = records(store, &key, order, after.as_ref(), limit, min_version).await;
    let Read { found, source } = read.map_err(Failure::about(Some(&key.id)))?;
    let Some(page) = found else { return Err(Failure::no_conversation(key.id.as_str()).read_from(source)) };
    let items = with_calls(store, &key, &page.items).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(response(items, page.has_more, request.answer_bytes(), order, after.as_ref(), limit)?
        .read_from(source))
}

impl ApiRequest {
    /// In which order items are listed, and after which of them.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`, or `after` no id.
    pub fn items(&self) -> Result<(Order, Option<ItemId>), Failure> {
        // A plus that was not encoded arrives as a space, which no id has.
        let after = self.query("after").map(|after| ItemId::new(&after.replace(' ', "+")));
        Ok((self.order()?, after.transpose().map_err(called("after"))?))
    }
}

/// The records that a page begins with, oldest first: as many as the page has items, and where it begins within a record that
/// one, too.
async fn records(
    store: &ConversationStore,
    key: &ConversationKey,
    order: Order,
    after: Option<&ItemId>,
    limit: Limit,
    min_version: Option<i64>,
) -> Result<Read<Page<Message>>, Error> {
    let Some(after) = after else {
        return match order {
            Order::Descending => store.recent(key, limit, min_version).await,
            Order::Ascending => store.history(key, Range::After(0), limit, min_version).await,
        };
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
    let (Err(Error::Invalid(_)), Some(whole)) = (&read, &after.whole) else { return read };
    let (read, record) = tokio::join!(beside(whole), store.message(key, whole));
    let mut read = read?;
    if let (Some(page), Some(record)) = (&mut read.found, record?.found) {
        match order {
            Order::Descending => page.items.push(record),
            Order::Ascending => page.items.insert(0, record),
        }
    }
    Ok(read)
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

/// Items in either order. Where they do not all fit into an answer, the first ones stay.
///
/// # Errors
/// There is no such item to begin after.
fn response(
    mut items: Vec<Item>,
    more_records: bool,
    answer_bytes: usize,
    order: Order,
    after: Option<&ItemId>,
    limit: Limit,
) -> Result<ApiResponse, Failure> {
    if order == Order::Descending {
        items.reverse();
    }
    // Within the record that the page begins in, what comes after that item.
    if let Some(at) = after.and_then(|after| items.iter().position(|item| item.id() == after.as_str())) {
        items.drain(..=at);
    }
    let more_items = items.len() > limit.get();
    items.truncate(limit.get());
    let has_more = fit(&mut items, answer_bytes, true) || more_items || more_records;
    Ok(ApiResponse::new(list(&items, &[], &[("has_more", has_more.into())])).of_window())
}
