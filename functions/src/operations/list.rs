//! Lists an owner's conversations, from Postgres alone.

use std::collections::BTreeMap;

use conversation_core::{
    Archived, Conversation, ConversationFilter, ConversationId, ConversationIndex, Cursor, Direction, Limit,
    Listing, Metadata, Order, OwnerId, Source,
};
use serde::Serialize;

use crate::http::{ApiRequest, ApiResponse, Failure, called, enveloped, one_direction};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (owner, mut limit) = (request.owner()?, request.limit(Limit::LIST)?);
    let ((order, cursor), filter) = (request.cursor(&owner)?, request.filter()?);
    loop {
        let listing = index.list(&owner, &filter, order, cursor.as_ref(), limit).await;
        let listing = listing.map_err(Failure::about(None))?;
        if let Some(reply) = response(&listing, &owner, request.answer_bytes()) {
            return Ok(reply.read_from(Source::Bypass));
        }
        // A hundred conversations fit, unless their metadata is as long as may be and the answer goes to a load balancer, or
        // it is made of control characters.
        limit = limit.half();
    }
}

impl ApiRequest {
    /// In which order conversations are listed, and from where.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`, or a cursor is not of this list.
    pub fn cursor(&self, owner: &OwnerId) -> Result<(Order, Option<Cursor>), Failure> {
        let order = self.order()?;
        let cursor = match (self.query("before")?, self.query("after")?) {
            (Some(_), Some(_)) => return Err(one_direction()),
            (Some(text), None) => Some(Cursor::decode(text, owner, order, Direction::Before)?),
            (None, Some(text)) => Some(Cursor::decode(text, owner, order, Direction::After)?),
            (None, None) => None,
        };
        Ok((order, cursor))
    }

    /// Which conversations are listed: those with all pairs given as `metadata[key]=value`, of those the forks of one, and
    /// of those the ones that are not archived, unless it is said which.
    ///
    /// # Errors
    /// A pair breaks a rule of metadata, one key is to have two values, or `archived` is none of its words.
    pub fn filter(&self) -> Result<ConversationFilter, Failure> {
        let mut pairs = BTreeMap::new();
        for (name, value) in self.query_pairs() {
            let Some(key) = name.strip_prefix("metadata") else { continue };
            let key = key.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
            // What is nested has no meaning here, and is no key either.
            let key = key.filter(|key| !key.is_empty() && !key.contains("][")).ok_or_else(|| {
                Failure::bad_param(name, format!("{name} must name a key: metadata[key]=value."))
            })?;
            if pairs.insert(key.to_owned(), value.to_owned()).is_some_and(|other| other != value) {
                return Err(Failure::bad_param(name, format!("{name} must not have two values.")));
            }
        }
        let forked_from = self.query("forked_from")?.map(ConversationId::new).transpose();
        Ok(ConversationFilter {
            metadata: Metadata::new(pairs)?,
            forked_from: forked_from.map_err(called("forked_from"))?,
            archived: match self.query("archived")? {
                None | Some("false") => Archived::Without,
                Some("true") => Archived::Only,
                Some("any") => Archived::With,
                Some(_) => {
                    return Err(Failure::bad_param("archived", "archived must be true, false or any."));
                }
            },
        })
    }
}

/// Conversations, and the cursors to the pages beside them. None: they do not fit into an answer.
fn response(listing: &Listing, owner: &OwnerId, answer_bytes: usize) -> Option<ApiResponse> {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: &'a [Conversation],
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
        has_more: bool,
        before: Option<String>,
        after: Option<String>,
    }
    let data = listing.page.items.as_slice();
    let list = List {
        object: "list",
        data,
        first_id: data.first().map(|conversation| conversation.id.as_str()),
        last_id: data.last().map(|conversation| conversation.id.as_str()),
        has_more: listing.page.has_more,
        before: listing.before.as_ref().map(|cursor| cursor.encode(owner)),
        after: listing.after.as_ref().map(|cursor| cursor.encode(owner)),
    };
    // Every part of it has a JSON form.
    let body = serde_json::to_string(&list).unwrap_or_default();
    (enveloped(&body) <= answer_bytes).then(|| ApiResponse::new(body))
}
