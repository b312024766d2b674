//! Who the caller is: a token, something that gives tokens, or credentials of AWS.

#[cfg(feature = "aws")]
mod aws;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::error::{BoxError, Error};

/// A token, once it is there.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send + 'a>>;

/// Gives tokens. It is asked for each attempt: let it keep a token for as long as that is valid.
///
/// A closure that returns a future is one: `|| async { Ok::<_, std::io::Error>("a token".to_owned()) }`.
pub trait TokenProvider: Send + Sync {
    /// Returns a token that is valid now.
    ///
    /// # Errors
    /// There is none. The request is not sent, and the error is that of the operation.
    fn token(&self) -> TokenFuture<'_>;
}

impl<F, R, E> TokenProvider for F
where
    F: Fn() -> R + Send + Sync,
    R: Future<Output = Result<String, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn token(&self) -> TokenFuture<'_> {
        let token = self();
        Box::pin(async move { token.await.map_err(Into::into) })
    }
}

/// What requests are authorised with.
#[derive(Clone)]
pub struct Auth(Kind);

#[derive(Clone)]
enum Kind {
    Token(String),
    Provider(Arc<dyn TokenProvider>),
    #[cfg(feature = "aws")]
    Aws(Arc<aws::Signer>),
}

impl Auth {
    /// Sends one token, as `Authorization: Bearer`.
    pub fn token(token: impl Into<String>) -> Self {
        Self(Kind::Token(token.into()))
    }

    /// Sends the token that a provider gives, anew for each attempt.
    pub fn provider(provider: impl TokenProvider + 'static) -> Self {
        Self(Kind::Provider(Arc::new(provider)))
    }

    /// Signs requests with AWS's Signature Version 4, for an API Gateway that authorises by IAM.
    ///
    /// Credentials that expire are kept until five minutes before; others are asked for with each request.
    #[cfg(feature = "aws")]
    pub fn aws(
        credentials: impl aws_credential_types::provider::ProvideCredentials + 'static,
        region: impl Into<String>,
    ) -> Self {
        Self(Kind::Aws(Arc::new(aws::Signer::new(credentials, region.into()))))
    }

    /// Adds to the headers of a request what authorises it.
    #[cfg_attr(
        not(feature = "aws"),
        expect(unused_variables, reason = "only AWS's signatures are of a request")
    )]
    pub(crate) async fn authorize(
        &self,
        method: &Method,
        url: &str,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let token = match &self.0 {
            Kind::Token(token) => token.clone(),
            Kind::Provider(provider) => provider.token().await.map_err(Error::Credentials)?,
            #[cfg(feature = "aws")]
            Kind::Aws(signer) => {
                let signed = signer.sign(method.as_str(), url, body, headers).await;
                return signed.map_err(Error::Credentials);
            }
        };
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value =
            value.map_err(|_| Error::Credentials("the token is not a valid header value".into()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Token(_) => "Auth::token",
            Kind::Provider(_) => "Auth::provider",
            #[cfg(feature = "aws")]
            Kind::Aws(_) => "Auth::aws",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn sent(auth: &Auth) -> Result<String, Error> {
        let mut headers = HeaderMap::new();
        auth.authorize(&Method::GET, "http://store/v1/health", &[], &mut headers).await?;
        assert!(headers[AUTHORIZATION].is_sensitive());
        Ok(headers[AUTHORIZATION].to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn tokens_are_sent() {
        assert_eq!(sent(&Auth::token("fixed")).await.unwrap(), "Bearer fixed");
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let provided = Auth::provider(move || {
            let nth = counted.fetch_add(1, Ordering::Relaxed);
            async move { if nth < 2 { Ok(format!("token {nth}")) } else { Err("no more") } }
        });
        assert_eq!(sent(&provided).await.unwrap(), "Bearer token 0");
        assert_eq!(sent(&provided.clone()).await.unwrap(), "Bearer token 1");
        assert_eq!(sent(&provided).await.unwrap_err().to_string(), "no credentials: no more");
        let error = sent(&Auth::token("secret\n")).await.unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("header"), "{error}");
        assert_eq!(format!("{:?}", Auth::token("secret")), "Auth::token");
    }
}
