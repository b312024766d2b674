//! Where Redis is, and how one logs in there.

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};

use super::{Auth, ConfigError, Lookup, auth, environment, of_settings, optional, region, required, switch};
use crate::clock::Clock;
use crate::iam::{Audience, Iam};

/// Where Redis is: `REDIS_URL`; whether that is a server of a cluster: `REDIS_CLUSTER`, by default `false`; who signs its
/// certificate: `REDIS_CA_FILE`, by default the public authorities; how one logs in: `REDIS_AUTH`, `password` by default or
/// `iam`; and what its keys begin with: `CACHE_KEY_PREFIX`, by default nothing.
///
/// `CACHE_GENERATION`, by default nothing, is the generation that the migration of a deployment has answered, and part of
/// every key. Where Postgres has another one, nothing is validated here, and writes are refused.
///
/// `REDIS_SERVERLESS`, by default `false`, says that it is ElastiCache Serverless, or another service that stands for many
/// servers and does not say which one answers. Then nobody notices a failover, and what is cached is checked against
/// Postgres every 30 seconds instead of every hour.
///
/// With `iam` the URL is one with TLS, names a user and has no password; `REDIS_CACHE_NAME` is the name of the ElastiCache
/// cache or replication group; and `AWS_REGION` says where it is.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    pub(crate) client: Client,
    pub(crate) iam: Option<Iam>,
    pub(crate) cluster: bool,
    pub(crate) serverless: bool,
    pub(crate) clock: Clock,
    prefix: String,
    generation: String,
}

const EXPECTED: &str = "a URL like redis://host:6379, or rediss:// with TLS";

fn malformed(reason: impl Into<String>) -> ConfigError {
    ConfigError::Malformed { name: "REDIS_URL", expected: EXPECTED, reason: reason.into() }
}

impl CacheConfig {
    /// Reads `REDIS_URL`, `REDIS_CLUSTER`, `REDIS_CA_FILE`, `REDIS_AUTH` and what belongs to it, and `CACHE_KEY_PREFIX`.
    ///
    /// # Errors
    /// One of them is missing or malformed, or the file cannot be read.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    /// From a URL and a prefix.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn from_url(url: &str, prefix: &str) -> Result<Self, ConfigError> {
        Self::from_settings(&[("REDIS_URL", url), ("CACHE_KEY_PREFIX", prefix)])
    }

    /// From settings that stand for those of the environment.
    ///
    /// # Errors
    /// As [`CacheConfig::from_env`].
    pub fn from_settings(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::read(&of_settings(settings))
    }

    pub(super) fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let url = required(lookup, "REDIS_URL", EXPECTED)?;
        let info = url.into_connection_info().map_err(|error| malformed(error.category()))?;
        // Requests of several callers share a connection: none waits for the answer to another's.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let iam = match auth(lookup, "REDIS_AUTH")? {
            Auth::Password => None,
            Auth::Iam => Some(iam(lookup, &info)?),
        };
        let client = match authorities(lookup)? {
            Some(authorities) => with_authorities(info, authorities)?,
            None => Client::open(info).map_err(|error| malformed(error.to_string()))?,
        };
        Ok(Self {
            client,
            iam,
            cluster: switch(lookup, "REDIS_CLUSTER")?,
            serverless: switch(lookup, "REDIS_SERVERLESS")?,
            clock: Clock::default(),
            prefix: prefix(lookup)?,
            generation: generation(lookup)?,
        })
    }

    /// The same with another clock than the system's: for tests.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// What its keys begin with: caches of two generations have none in common.
    pub(crate) fn key_prefix(&self) -> String {
        let colon = if self.generation.is_empty() { "" } else { ":" };
        format!("{}{}{colon}", self.prefix, self.generation)
    }

    /// Its generation, by which Postgres tells it from others.
    pub(crate) fn generation(&self) -> &str {
        &self.generation
    }
}

fn prefix(lookup: Lookup<'_>) -> Result<String, ConfigError> {
    const NAME: &str = "CACHE_KEY_PREFIX";
    const PREFIX: &str = "at most 64 visible ASCII characters without braces";
    let prefix = optional(lookup, NAME, PREFIX)?.unwrap_or_default();
    let fits = prefix.len() <= 64 && prefix.bytes().all(|b| b.is_ascii_graphic() && !b"{}".contains(&b));
    if !fits {
        let reason = "it has other characters or more".into();
        return Err(ConfigError::Malformed { name: NAME, expected: PREFIX, reason });
    }
    Ok(prefix)
}

/// What a deployment calls the cache; by default nothing.
fn generation(lookup: Lookup<'_>) -> Result<String, ConfigError> {
    const NAME: &str = "CACHE_GENERATION";
    const EXPECTED: &str = "at most 40 letters, digits and hyphens";
    let generation = optional(lookup, NAME, EXPECTED)?.unwrap_or_default();
    if generation.len() <= 40 && generation.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Ok(generation);
    }
    let reason = "it has other characters or more".into();
    Err(ConfigError::Malformed { name: NAME, expected: EXPECTED, reason })
}

/// Who the tokens are for. They go only through TLS.
fn iam(lookup: Lookup<'_>, info: &ConnectionInfo) -> Result<Iam, ConfigError> {
    const NAME: &str = "REDIS_CACHE_NAME";
    const CACHE: &str = "the name of an ElastiCache cache or replication group, in lower case";
    let settings = info.redis_settings();
    if settings.password().is_some() {
        return Err(malformed("with REDIS_AUTH=iam there is no password in it"));
    }
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(malformed("with REDIS_AUTH=iam it begins with rediss://"));
    }
    let user = settings.username().filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| malformed("with REDIS_AUTH=iam it has to name a user"))?.to_owned();
    let name = required(lookup, NAME, CACHE)?;
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        let reason = format!("it is {name:?}");
        return Err(ConfigError::Malformed { name: NAME, expected: CACHE, reason });
    }
    let audience = Audience::Cache { name, user, serverless: switch(lookup, "REDIS_SERVERLESS")? };
    Ok(Iam { audience, region: region(lookup)? })
}

/// What `REDIS_CA_FILE` says.
const AUTHORITIES: (&str, &str) = ("REDIS_CA_FILE", "a PEM file with the certificates of authorities");

/// The certificates of those who sign Redis's; none: the public ones do.
fn authorities(lookup: Lookup<'_>) -> Result<Option<Vec<u8>>, ConfigError> {
    let (name, expected) = AUTHORITIES;
    let Some(file) = optional(lookup, name, expected)? else { return Ok(None) };
    let malformed = |reason: String| ConfigError::Malformed { name, expected, reason };
    let pem = std::fs::read(&file).map_err(|error| malformed(format!("{file}: {error}")))?;
    // The client would take a file without any for one with all that are needed.
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(malformed(format!("{file} has no certificate in it")));
    }
    Ok(Some(pem))
}

/// # Errors
/// The certificates cannot be read, or the URL is one without TLS.
fn with_authorities(info: ConnectionInfo, authorities: Vec<u8>) -> Result<Client, ConfigError> {
    let (name, expected) = AUTHORITIES;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(authorities) };
    Client::build_with_tls(info, certificates).map_err(|error| ConfigError::Malformed {
        name,
        expected,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_only_through_tls() {
        let with = |more: &[(&str, &str)]| {
            let iam =
                [("REDIS_AUTH", "iam"), ("REDIS_CACHE_NAME", "cache-1"), ("AWS_REGION", "eu-central-1")];
            CacheConfig::from_settings(&[more, &iam].concat())
        };
        let config = with(&[("REDIS_URL", "rediss://app@h:6379"), ("REDIS_SERVERLESS", "true")]).unwrap();
        let audience = Audience::Cache { name: "cache-1".into(), user: "app".into(), serverless: true };
        assert_eq!(config.iam, Some(Iam { audience, region: "eu-central-1".into() }));
        for (name, wrong) in [
            ("REDIS_URL", [("REDIS_URL", "redis://app@h"), ("", "")]),
            ("REDIS_URL", [("REDIS_URL", "rediss://h"), ("", "")]),
            ("REDIS_URL", [("REDIS_URL", "rediss://app:secret@h"), ("", "")]),
            ("REDIS_CACHE_NAME", [("REDIS_URL", "rediss://app@h"), ("REDIS_CACHE_NAME", "Cache")]),
            ("REDIS_CACHE_NAME", [("REDIS_URL", "rediss://app@h"), ("REDIS_CACHE_NAME", "")]),
            ("REDIS_SERVERLESS", [("REDIS_URL", "rediss://app@h"), ("REDIS_SERVERLESS", "yes")]),
            ("AWS_REGION", [("REDIS_URL", "rediss://app@h"), ("AWS_REGION", "")]),
            ("REDIS_AUTH", [("REDIS_URL", "rediss://app@h"), ("REDIS_AUTH", "token")]),
        ] {
            let said = with(&wrong).unwrap_err().to_string();
            assert!(said.starts_with(name) && !said.contains("secret"), "{said}");
        }
    }
}
