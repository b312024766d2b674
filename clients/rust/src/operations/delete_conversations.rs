//! The deletion of many conversations.

use hyper::Method;

use super::filter::Filter;
use super::setters::filtered;
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::conversation::{Archived, ConversationDeletions};
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;

/// [`Client::delete_conversations`].
#[derive(Debug)]
pub struct DeleteConversations {
    filter: Filter,
    dry_run: bool,
}

filtered!(DeleteConversations);

impl Client {
    /// Deletes the conversations that [`list_conversations`](Client::list_conversations) has for the same filter, of which there must be
    /// metadata, `forked_from` or [`Archived::Only`]; by default it only counts them. One request deletes up to 1,000 of them, each if it has
    /// not changed since it was found. If the answer has `has_more`, there are more: call it again. Where the answer is lost, the request is
    /// sent again, and then counts what was left.
    pub fn delete_conversations(&self) -> Call<DeleteConversations> {
        self.call(DeleteConversations { filter: Filter::default(), dry_run: true })
    }
}

impl Call<DeleteConversations> {
    /// Sets whether the conversations are only counted; by default they are.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.operation.dry_run = dry_run;
        self
    }
}

impl Operation for DeleteConversations {
    type Output = ConversationDeletions;

    fn request(&self) -> Result<Request, Error> {
        let request = self.filter.add(Request::new(Method::DELETE, "/v1/conversations"));
        Ok(request.query("dry_run", self.dry_run))
    }

    fn read(&self, response: &Response) -> Result<ConversationDeletions, Error> {
        response.json().map_err(Error::unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_said_as_lists_say_it() {
        let store = Client::new("http://store").unwrap();
        let target = |call: Call<DeleteConversations>| call.operation.request().unwrap().target;
        let all =
            store.delete_conversations().metadata("a b", "c&d").forked_from("trip").archived(Archived::Any);
        let filter = "metadata%5Ba%20b%5D=c%26d&forked_from=trip&archived=any";
        assert_eq!(target(all), format!("/v1/conversations?{filter}&dry_run=true"));
        let archived = store.delete_conversations().archived(Archived::Only).dry_run(false);
        assert_eq!(target(archived), "/v1/conversations?archived=true&dry_run=false");
    }
}
