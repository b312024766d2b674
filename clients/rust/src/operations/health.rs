//! The state of the API.

use hyper::Method;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::conversation::Health;
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;

/// [`Client::health`].
#[derive(Debug)]
pub struct GetHealth {
    deep: bool,
}

impl Client {
    /// Reads whether the API runs, and which version of the contract it speaks.
    pub fn health(&self) -> Call<GetHealth> {
        self.call(GetHealth { deep: false })
    }
}

impl Call<GetHealth> {
    /// Checks both stores. Without Postgres the API is [`Unavailable`](Error::Unavailable).
    pub fn deep(mut self) -> Self {
        self.operation.deep = true;
        self
    }
}

impl Operation for GetHealth {
    type Output = Health;

    fn request(&self) -> Result<Request, Error> {
        Ok(Request::new(Method::GET, "/v1/health").query_if("deep", self.deep.then_some(1)))
    }

    fn read(&self, response: &Response) -> Result<Health, Error> {
        response.json().map_err(Error::unexpected)
    }
}
