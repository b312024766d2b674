//! AWS's Signature Version 4, by AWS's own code.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tracing::subscriber::{NoSubscriber, with_default};

use crate::error::BoxError;

/// What API Gateway is called in signatures.
const SERVICE: &str = "execute-api";
/// The headers that are signed, beside those that a signature adds: nobody on the way changes them.
const SIGNED: [&str; 5] = ["content-type", "idempotency-key", "if-match", "if-none-match", "x-owner-id"];
/// How long before their end credentials are replaced.
const SPARE: Duration = Duration::from_secs(5 * 60);

/// Signs requests to API Gateways of a region.
pub(super) struct Signer {
    provider: SharedCredentialsProvider,
    region: String,
    /// The last credentials that say when they end.
    kept: Mutex<Option<Credentials>>,
}

impl Signer {
    pub(super) fn new(credentials: impl ProvideCredentials + 'static, region: String) -> Self {
        let provider = SharedCredentialsProvider::new(credentials);
        Self { provider, region, kept: Mutex::default() }
    }

    /// Adds a signature to the headers of a request.
    pub(super) async fn sign(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<(), BoxError> {
        let now = SystemTime::now();
        let credentials = self.credentials(now).await?;
        for (name, value) in self.signature(&credentials, now, (method, url, body), headers)? {
            headers.insert(name, value);
        }
        Ok(())
    }

    async fn credentials(&self, now: SystemTime) -> Result<Credentials, BoxError> {
        let mut kept = self.kept.lock().await;
        let lasting = |credentials: &&Credentials| credentials.expiry().is_some_and(|end| now + SPARE < end);
        if let Some(credentials) = kept.as_ref().filter(lasting) {
            return Ok(credentials.clone());
        }
        Ok(kept.insert(self.provider.provide_credentials().await?).clone())
    }

    /// The headers that make a request a signed one.
    fn signature(
        &self,
        credentials: &Credentials,
        now: SystemTime,
        (method, url, body): (&str, &str, &[u8]),
        headers: &HeaderMap,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, BoxError> {
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signed = SIGNED.iter().filter_map(|name| Some((*name, headers.get(*name)?.to_str().ok()?)));
        let request = SignableRequest::new(method, url, signed, SignableBody::Bytes(body))?;
        // What it would log, if asked to log everything, has the session token in it.
        let (instructions, _) =
            with_default(NoSubscriber::default(), || sign(request, &params))?.into_parts();
        let (added, _) = instructions.into_parts();
        let added = added.into_iter().map(|header| {
            let mut value = HeaderValue::from_str(header.value())?;
            value.set_sensitive(true);
            Ok((HeaderName::try_from(header.name())?, value))
        });
        added.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::UNIX_EPOCH;

    use aws_credential_types::provider::future;
    use hyper::header::AUTHORIZATION;

    use super::*;

    const HOST: &str = "https://abc.execute-api.eu-west-1.amazonaws.com";
    /// Requests and the signatures that botocore makes for them, in the noon of the first day of 2026.
    const SIGNATURES: [(&str, &str, &str, &str); 2] = [
        (
            "POST",
            "/prod/v1/conversations/a~b:c/messages",
            r#"{"messages":[{"content":"é"}]}"#,
            "0a394cd6bc9c09dd98b8da06147afb4d29fa072703f012c511c137fcd8210a7c",
        ),
        (
            "GET",
            "/v1/conversations/trip/records/a/b%20c%C3%A9?prefix=%2F&values=true&after=b%20c",
            "",
            "591ddc994d5e9610eeac56b7e86d59ea6e886ffe06871ad21e98f71d65df93ff",
        ),
    ];

    #[test]
    fn signatures_are_those_of_botocore() {
        let credentials = Credentials::new("key", "secret", Some("session".into()), None, "test");
        let signer = Signer::new(credentials.clone(), "eu-west-1".into());
        let given = [
            ("content-type", "application/json"),
            ("idempotency-key", "k-1"),
            ("x-owner-id", "ann"),
            ("user-agent", "unsigned"),
        ];
        let given: HeaderMap = given
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .into_iter()
            .collect();
        let noon = UNIX_EPOCH + Duration::from_secs(1_767_268_800);
        for (method, path, body, signature) in SIGNATURES {
            let url = format!("{HOST}{path}");
            let signed = signer.signature(&credentials, noon, (method, &url, body.as_bytes()), &given);
            let signed: HeaderMap = signed.unwrap().into_iter().collect();
            assert_eq!(signed["x-amz-date"], "20260101T120000Z");
            assert_eq!(signed["x-amz-security-token"], "session");
            let authorization = signed[AUTHORIZATION].to_str().unwrap();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{url}: {authorization}");
        }
    }

    /// Counts how often it is asked.
    #[derive(Debug)]
    struct Counted(AtomicU32, Option<Duration>);

    impl ProvideCredentials for Counted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let key = format!("key-{}", self.0.fetch_add(1, Ordering::Relaxed));
            let end = self.1.map(|left| SystemTime::now() + left);
            future::ProvideCredentials::ready(Ok(Credentials::new(key, "secret", None, end, "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_their_end() {
        for (left, expected) in [(None, "key-1"), (Some(60), "key-1"), (Some(3_600), "key-0")] {
            let credentials = Counted(AtomicU32::new(0), left.map(Duration::from_secs));
            let signer = Signer::new(credentials, "eu-west-1".into());
            let mut headers = HeaderMap::new();
            for _ in 0..2 {
                signer.sign("GET", HOST, &[], &mut headers).await.unwrap();
            }
            let authorization = headers[AUTHORIZATION].to_str().unwrap();
            assert!(authorization.contains(&format!("Credential={expected}/")), "{authorization}");
        }
    }
}
