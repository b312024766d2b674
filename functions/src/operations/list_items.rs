//! Lists the items of a conversation.

use conversation_core::{Anchor, ConversationStore, Limit, Message, MessageId, Order, Page, Range};

use crate::http::{ApiRequest, ApiResponse, Failure, Item, called, fit, list};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, (order, after), min_version) =
        (request.limit(Limit::LIST)?, request.items()?, request.min_version()?);
    let read = match (order, after) {
        (Order::Descending, None) => store.recent(&key, limit, min_version).await,
        (Order::Ascending, None) => store.history(&key, Range::After(0), limit, min_version).await,
        (Order::Descending, Some(id)) => {
            store.adjacent_to(&key, &Anchor::Before(id), limit, min_version).await
        }
        (Order::Ascending, Some(id)) => store.adjacent_to(&key, &Anchor::After(id), limit, min_version).await,
    };
    ApiResponse::found(read, &key.id, |page| response(&page, request.answer_bytes(), order))
}

impl ApiRequest {
    /// In which order items are listed, and after which of them.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`, or `after` no id.
    pub fn items(&self) -> Result<(Order, Option<MessageId>), Failure> {
        let after = self.query("after").map(MessageId::new).transpose().map_err(called("after"))?;
        Ok((self.order()?, after))
    }
}

/// Items in either order. Where they do not all fit into an answer, the first ones stay.
fn response(page: &Page<Message>, answer_bytes: usize, order: Order) -> ApiResponse {
    let mut items: Vec<Item> = page.items.iter().map(Item::of).collect();
    if order == Order::Descending {
        items.reverse();
    }
    let has_more = fit(&mut items, answer_bytes, true) || page.has_more;
    ApiResponse::new(list(&items, &[], &[("has_more", has_more.into())])).of_window()
}
