//! A small HTTP/1.1 client over one connection, with TLS for `https`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection, and any answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and the headers that every request to it has.
pub(crate) struct Server {
    url: String,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    headers: HeaderMap,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer, and how long it took.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

impl Server {
    /// Makes a server from its URL, without a path. The first request opens the connection.
    ///
    /// # Errors
    /// That is not a URL of HTTP.
    pub(crate) fn new(url: &str, headers: HeaderMap) -> Result<Self> {
        let wrong = || anyhow!("{url} is not a valid URL; expected https://host or http://host:port");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (tls, port) = match uri.scheme_str() {
            Some("https") => (Some(connector()?), 443),
            Some("http") => (None, 80),
            _ => return Err(wrong()),
        };
        let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(port);
        Ok(Self { url: url.to_owned(), host, port, tls, headers, connection: None })
    }

    /// Sends a request and waits for all of the answer.
    ///
    /// # Errors
    /// The server cannot be reached, or does not answer in time.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().with_context(|| self.url.clone())?;
        *request.headers_mut() = self.headers.clone();
        let host = format!("{}:{}", self.host, self.port);
        request.headers_mut().insert(HOST, host.parse().with_context(|| self.url.clone())?);
        let began = Instant::now();
        let answered = timeout(PATIENCE, self.exchange(request)).await;
        let (status, headers, body) = answered
            .unwrap_or_else(|_| Err(anyhow!("no answer within half a minute")))
            .with_context(|| self.url.clone())?;
        Ok(Response { status, headers, body, took: began.elapsed() })
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, HeaderMap, Bytes)> {
        // Between two requests the server may have closed it.
        let mut kept = self.connection.take();
        if let Some(connection) = &mut kept
            && connection.ready().await.is_err()
        {
            kept = None;
        }
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let response = connection.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok((parts.status.as_u16(), parts.headers, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => over(stream).await,
            Some(tls) => over(tls.connect(ServerName::try_from(self.host.clone())?, stream).await?).await,
        }
    }
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end, good or bad, shows at the next request.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Makes a TLS client that trusts the authorities that browsers trust.
fn connector() -> Result<TlsConnector> {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("no TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers() {
        let server = |url: &str| Server::new(url, HeaderMap::new());
        for (url, host, port, tls) in [
            ("https://a.example", "a.example", 443, true),
            ("http://127.0.0.1:9000", "127.0.0.1", 9000, false),
            ("http://[::1]", "::1", 80, false),
        ] {
            let server = server(url).unwrap();
            assert_eq!((server.host.as_str(), server.port, server.tls.is_some()), (host, port, tls));
        }
        for url in ["a.example", "ftp://a", "", "https://"] {
            assert!(server(url).is_err(), "{url}");
        }
    }
}
