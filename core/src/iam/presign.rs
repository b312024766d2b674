//! What a token is: a request that is signed and never sent, without its scheme.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::subscriber::{NoSubscriber, with_default};

/// How long after it was minted a server takes a token.
pub(super) const VALID: Duration = Duration::from_secs(15 * 60);

/// Who takes the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// RDS, Aurora or RDS Proxy, for a user of the database.
    Database {
        /// The name of the endpoint, as it is connected to.
        host: String,
        /// Its port.
        port: u16,
        /// The user.
        user: String,
    },
    /// ElastiCache, for one of its users.
    Cache {
        /// The name of the cache or replication group, in lower case.
        name: String,
        /// The user's id, which is its name too.
        user: String,
        /// Whether that is a serverless cache.
        serverless: bool,
    },
}

/// What a query has percent-encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const SCHEME: &str = "https://";

impl Audience {
    /// The token, as it is used in a password's place for [`VALID`] from then on.
    pub(super) fn token(
        &self,
        credentials: &Credentials,
        region: &str,
        at: SystemTime,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(VALID);
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service())
            .time(at)
            .settings(settings)
            .build()?
            .into();
        let mut url = self.url();
        let request = SignableRequest::new("GET", url.clone(), std::iter::empty(), SignableBody::Bytes(&[]))?;
        // What it would log, if asked to log everything, has the session token in it.
        let signed = with_default(NoSubscriber::default(), || sign(request, &params));
        let (signed, _) = signed?.into_parts();
        for (name, value) in signed.params() {
            url = format!("{url}&{name}={}", utf8_percent_encode(value, QUERY));
        }
        Ok(url.split_off(SCHEME.len()))
    }

    fn service(&self) -> &'static str {
        match self {
            Self::Database { .. } => "rds-db",
            Self::Cache { .. } => "elasticache",
        }
    }

    fn url(&self) -> String {
        let encoded = |text| utf8_percent_encode(text, QUERY);
        match self {
            Self::Database { host, port, user } => {
                format!("{SCHEME}{host}:{port}/?Action=connect&DBUser={}", encoded(user))
            }
            Self::Cache { name, user, serverless } => {
                let kind = if *serverless { "&ResourceType=ServerlessCache" } else { "" };
                format!("{SCHEME}{name}/?Action=connect&User={}{kind}", encoded(user))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, UNIX_EPOCH};

    use serde::Deserialize;

    use super::*;

    /// A token that botocore made, as `tests/it/iam.rs` holds it still would, and what it was made of.
    #[derive(Deserialize)]
    struct Vector {
        host: Option<String>,
        port: Option<u16>,
        name: Option<String>,
        user: String,
        serverless: Option<bool>,
        region: String,
        credentials: (String, String, Option<String>),
        unix: u64,
        token: String,
    }

    impl Vector {
        fn audience(&self) -> Audience {
            let user = self.user.clone();
            match (self.host.clone(), self.name.clone()) {
                (Some(host), _) => Audience::Database { host, port: self.port.unwrap(), user },
                (None, name) => {
                    Audience::Cache { name: name.unwrap(), user, serverless: self.serverless.unwrap() }
                }
            }
        }
    }

    /// Where it leads, and the query, whose order says nothing.
    fn parts(token: &str) -> (&str, BTreeMap<&str, &str>) {
        let (address, query) = token.split_once('?').unwrap();
        (address, query.split('&').map(|pair| pair.split_once('=').unwrap()).collect())
    }

    #[test]
    fn tokens_are_those_of_botocore() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let (key, secret, session) = vector.credentials.clone();
            let credentials = Credentials::new(key, secret, session, None, "test");
            let at = UNIX_EPOCH + Duration::from_secs(vector.unix);
            let token = vector.audience().token(&credentials, &vector.region, at).unwrap();
            assert_eq!(parts(&token), parts(&vector.token));
        }
    }
}
