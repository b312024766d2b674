//! The client: it sends what operations build, again where that is safe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use tokio::time::sleep;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::auth::Auth;
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;
use crate::retry::pause;
use crate::transport::{Endpoint, Transport};
use crate::version::VersionCheck;

/// A client of the conversation store.
///
/// It is cheap to clone, and may be used by any number of tasks at a time: its clones share connections. There is a method for each
/// operation of the contract, which returns a [`Call`](crate::Call). It needs a runtime of tokio.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    auth: Option<Auth>,
    owner: Option<HeaderValue>,
    retries: u32,
    version: Option<VersionCheck>,
}

/// Settings of a client: [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    url: String,
    auth: Option<Auth>,
    owner: Option<String>,
    retries: u32,
    timeout: Duration,
    check_version: bool,
    authorities: Vec<u8>,
}

impl Client {
    /// A client of the API at a URL, like `http://127.0.0.1:9000`, where callers need no authorisation.
    ///
    /// # Errors
    /// The URL is not one of HTTP.
    pub fn new(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// A client with other settings.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), conversation_client::Error> {
    /// use conversation_client::{Auth, Client};
    ///
    /// let store = Client::builder("https://abc.execute-api.eu-central-1.amazonaws.com")
    ///     .auth(Auth::token("the caller's token"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            auth: None,
            owner: None,
            retries: 4,
            timeout: Duration::from_secs(30),
            check_version: true,
            authorities: Vec::new(),
        }
    }

    /// Returns the version of the contract that the server speaks, once an answer has said it.
    pub fn server_version(&self) -> Option<&str> {
        self.shared.version.as_ref()?.server()
    }

    /// Sends the request of an operation, again where that is safe, and reads the answer.
    ///
    /// # Errors
    /// The API answered with an error, or not at all.
    pub async fn run<O: Operation>(&self, operation: &O) -> Result<O::Output, Error> {
        let request = operation.request()?;
        let response = self.repeat(&request).await?;
        if let Some(version) = &self.shared.version {
            version.check(&response)?;
        }
        match response.status {
            200..=299 | 304 => operation.read(&response),
            _ => Err(Error::from_response(&response)),
        }
    }

    /// Sends a request until its outcome is final.
    async fn repeat(&self, request: &Request) -> Result<Response, Error> {
        for attempt in 0..self.shared.retries {
            let outcome = self.send(request).await;
            match pause(attempt, &outcome) {
                Some(pause) => sleep(pause).await,
                None => return outcome,
            }
        }
        self.send(request).await
    }

    /// Sends a request once and returns the answer as it came, whatever its status.
    ///
    /// # Errors
    /// There is no answer, or there are no credentials.
    pub async fn send(&self, request: &Request) -> Result<Response, Error> {
        let endpoint = self.shared.transport.endpoint();
        let target = format!("{}{}", endpoint.base(), request.target);
        let uri: Uri = target.parse().map_err(|_| Error::Invalid(format!("{target} is not a path")))?;
        let mut headers = request.headers.clone();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("conversation-client/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(owner) = &self.shared.owner {
            headers.insert(HeaderName::from_static("x-owner-id"), owner.clone());
        }
        if let Some(auth) = &self.shared.auth {
            let url = format!("{}{target}", endpoint.origin());
            auth.authorize(&request.method, &url, &request.body, &mut headers).await?;
        }
        let mut sent = hyper::Request::new(Full::new(request.body.clone()));
        *sent.method_mut() = request.method.clone();
        *sent.uri_mut() = uri;
        *sent.headers_mut() = headers;
        Ok(self.shared.transport.send(sent).await?)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.shared.transport.endpoint();
        let url = format!("{}{}", endpoint.origin(), endpoint.base());
        f.debug_struct("Client").field("url", &url).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Sets what requests are authorised with.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Sets the owner, sent as `x-owner-id`, for deployments that trust their callers to name one.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Sets how often a request is sent again, after lost connections and after 429, 502, 503 and 504; by default up to 4 times.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets how long each attempt may take; by default 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets whether the server's version of the contract is checked with the first answer; by default it is.
    pub fn check_version(mut self, check_version: bool) -> Self {
        self.check_version = check_version;
        self
    }

    /// Trusts certificate authorities beside those that browsers trust: certificates as PEM, like those of a private load balancer.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = pem.into();
        self
    }

    /// Makes the client. The first request opens a connection.
    ///
    /// # Errors
    /// The URL is not one of HTTP, the owner cannot be sent, or a certificate is none.
    pub fn build(self) -> Result<Client, Error> {
        let authorities = CertificateDer::pem_slice_iter(&self.authorities)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::Invalid(format!("the root certificates are not PEM: {error}")))?;
        if authorities.is_empty() && !self.authorities.is_empty() {
            return Err(Error::Invalid("there is no certificate among the root certificates".into()));
        }
        let Some(endpoint) = Endpoint::parse(&self.url, &authorities) else {
            let expected = "expected https://host or http://host:port";
            return Err(Error::Invalid(format!("{} is not a valid URL; {expected}", self.url)));
        };
        let owner = self.owner.map(|owner| {
            let mut value = HeaderValue::try_from(owner)
                .map_err(|_| Error::Invalid("the owner is not a valid header value".into()))?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        });
        let shared = Shared {
            transport: Transport::new(endpoint, self.timeout),
            auth: self.auth,
            owner: owner.transpose()?,
            retries: self.retries,
            version: self.check_version.then(VersionCheck::default),
        };
        Ok(Client { shared: Arc::new(shared) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let client = Client::builder("http://store/v1").owner("ann").build().unwrap();
        assert_eq!(format!("{client:?}"), r#"Client { url: "http://store", .. }"#);
        let wrong = Client::new("store").unwrap_err().to_string();
        assert!(wrong.starts_with("store is not a valid URL"), "{wrong}");
        assert!(Client::builder("http://store").owner("a\nb").build().is_err());
        assert!(Client::builder("https://store").root_certificates("none").build().is_err());
    }
}
