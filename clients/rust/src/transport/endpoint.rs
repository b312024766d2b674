//! A server, from its URL, and connections to it.

use std::sync::Arc;

use http_body_util::Full;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::failure::TransportFailure;

/// An open connection.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// A server.
pub(crate) struct Endpoint {
    /// Scheme, host and port, as they begin a URL.
    origin: String,
    /// The header `Host`: host and port, without the scheme's own port.
    authority: HeaderValue,
    /// What every path begins with.
    base: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    /// Reads a URL; None if it is not one of HTTP. A `/v1` at its end, which the OpenAI SDKs want there, is left out. Authorities are
    /// trusted beside those that browsers trust.
    pub(crate) fn parse(url: &str, authorities: &[CertificateDer<'static>]) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let uri: Uri = url.strip_suffix("/v1").unwrap_or(url).parse().ok()?;
        let (scheme, usual) = match uri.scheme_str()? {
            "https" => ("https", 443),
            "http" => ("http", 80),
            _ => return None,
        };
        let named = uri.host().filter(|host| !host.is_empty() && uri.query().is_none())?;
        // The rest of the authority is a port, if it is there.
        let port = match uri.authority()?.as_str().strip_prefix(named)? {
            "" => usual,
            rest => rest.strip_prefix(':')?.parse().ok()?,
        };
        let authority = if port == usual { named.to_owned() } else { format!("{named}:{port}") };
        let host = named.trim_matches(['[', ']']).to_owned();
        let tls = match scheme {
            "https" => Some((connector(authorities)?, ServerName::try_from(host.clone()).ok()?)),
            _ => None,
        };
        Some(Self {
            origin: format!("{scheme}://{authority}"),
            authority: authority.parse().ok()?,
            base: uri.path().trim_end_matches('/').to_owned(),
            host,
            port,
            tls,
        })
    }

    /// Scheme, host and port, as they begin a URL.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What every path begins with: empty, or the stage of an API Gateway.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn authority(&self) -> HeaderValue {
        self.authority.clone()
    }

    pub(super) async fn connect(&self) -> Result<Connection, TransportFailure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => over(stream).await,
            Some((tls, name)) => over(tls.connect(name.clone(), stream).await?).await,
        }
    }
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Connection, TransportFailure> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end, good or bad, shows at the next request.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Makes a TLS client that trusts the authorities that browsers trust, and these.
fn connector(authorities: &[CertificateDer<'static>]) -> Option<TlsConnector> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for authority in authorities {
        roots.add(authority.clone()).ok()?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers() {
        for (url, host, port, authority) in [
            ("https://a.example", "a.example", 443, "a.example"),
            ("https://a.example:443/", "a.example", 443, "a.example"),
            ("https://a.example:8443", "a.example", 8443, "a.example:8443"),
            ("http://127.0.0.1:9000/v1", "127.0.0.1", 9000, "127.0.0.1:9000"),
            ("http://[::1]", "::1", 80, "[::1]"),
        ] {
            let server = Endpoint::parse(url, &[]).unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
            assert_eq!((server.authority.to_str().unwrap(), server.base.as_str()), (authority, ""), "{url}");
            assert_eq!(server.tls.is_some(), url.starts_with("https"));
        }
        let stage = Endpoint::parse("https://a.example/prod/v1/", &[]).unwrap();
        assert_eq!((stage.origin.as_str(), stage.base.as_str()), ("https://a.example", "/prod"));
    }

    #[test]
    fn others_name_none() {
        for url in ["a.example", "ftp://a", "", "https://", "http://u:p@a", "http://a/?b=c", "http://a:99999"]
        {
            assert!(Endpoint::parse(url, &[]).is_none(), "{url}");
        }
    }
}
