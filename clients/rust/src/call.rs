//! Operations that a client is about to run.

use std::pin::Pin;

use crate::client::Client;
use crate::error::Error;
use crate::operation::{ConditionalRead, IfChanged, Operation, Paged};

/// An operation with its parameters. It is run when it is awaited.
#[derive(Debug)]
#[must_use = "a call is sent when it is awaited"]
pub struct Call<O> {
    pub(crate) client: Client,
    pub(crate) operation: O,
}

/// The pages of a list, one after the other.
#[derive(Debug)]
pub struct Pages<O> {
    client: Client,
    next: Option<O>,
}

impl Client {
    /// Prepares an operation, which is run when the call is awaited.
    pub fn call<O: Operation>(&self, operation: O) -> Call<O> {
        Call { client: self.clone(), operation }
    }
}

impl<O> IntoFuture for Call<O>
where
    O: Operation + Send + Sync + 'static,
    O::Output: Send,
{
    type Output = Result<O::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.run(&self.operation).await })
    }
}

impl<O: ConditionalRead> Call<O> {
    /// Returns None if the conversation is still at this version, or the record at this revision, which an earlier read returned. No
    /// message and no value is then sent. Set other parameters before.
    pub fn if_none_match(self, version: u64) -> Call<IfChanged<O>> {
        Call { client: self.client, operation: IfChanged::new(self.operation, version) }
    }
}

impl<O: Paged> Call<O> {
    /// Reads this page and all that follow it, in the direction of the list.
    ///
    /// ```no_run
    /// # async fn example(store: conversation_client::Client) -> Result<(), conversation_client::Error> {
    /// let mut pages = store.list_messages("trip").after(0).pages();
    /// while let Some(page) = pages.next().await? {
    ///     for message in page.data {
    ///         println!("{}", message.json());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn pages(self) -> Pages<O> {
        Pages { client: self.client, next: Some(self.operation) }
    }
}

impl<O: Paged> Pages<O> {
    /// Reads the next page; None after the last. After an error the same page is read again.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn next(&mut self) -> Result<Option<O::Output>, Error> {
        let Some(operation) = &self.next else { return Ok(None) };
        let page = self.client.run(operation).await?;
        self.next = operation.following(&page);
        Ok(Some(page))
    }
}
