//! HTTP/1.1 over pooled connections, with TLS for `https`.

mod endpoint;
mod failure;
mod pool;

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Method, Request, Uri};
use tokio::time::timeout;

use crate::response::Response;

use endpoint::Connection;
use pool::Pool;

pub(crate) use endpoint::Endpoint;
pub use failure::{TransportError, TransportFailure};

/// The way to one server. Any number of requests may be sent at a time: each has a connection of its own meanwhile.
pub(crate) struct Transport {
    endpoint: Endpoint,
    pool: Pool,
    timeout: Duration,
}

impl Transport {
    /// A transport to a server. Every request, its connection included, may take this long.
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration) -> Self {
        Self { endpoint, pool: Pool::default(), timeout }
    }

    /// The server.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request once and waits for all of the answer.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response, TransportError> {
        request.headers_mut().insert(HOST, self.endpoint.authority());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let began = Instant::now();
        let exchanged = timeout(self.timeout, self.exchange(request)).await;
        exchanged
            .unwrap_or(Err(TransportFailure::Timeout(self.timeout)))
            .map(|response| Response { took: began.elapsed(), ..response })
            .map_err(|failure| self.failed(&method, &uri, failure))
    }

    fn failed(&self, method: &Method, uri: &Uri, failure: TransportFailure) -> TransportError {
        TransportError { request: format!("{method} {}{uri}", self.endpoint.origin()), failure }
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Response, TransportFailure> {
        while let Some(mut pooled) = self.pool.take() {
            // Between two requests the server may have closed it.
            if pooled.ready().await.is_err() {
                continue;
            }
            match pooled.try_send_request(request).await {
                Ok(response) => return self.collect(pooled, response).await,
                Err(mut error) => match error.take_message() {
                    // Nothing of it was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(TransportFailure::Lost(error.into_error())),
                },
            }
        }
        let mut connection = self.endpoint.connect().await?;
        let response = connection.send_request(request).await?;
        self.collect(connection, response).await
    }

    /// Reads an answer to its end, after which its connection can have the next request.
    async fn collect(
        &self,
        connection: Connection,
        response: hyper::Response<Incoming>,
    ) -> Result<Response, TransportFailure> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.pool.put(connection);
        Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body, took: Duration::ZERO })
    }
}
