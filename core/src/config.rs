//! The settings, read from the environment once, at start.

use std::env::VarError;
use std::str::FromStr;

use redis::{Client, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

use crate::conversation::OwnerId;

/// A setting that is missing or cannot be read. One line, naming it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// It is not set.
    #[error("{name} is not set: {expected}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// It is set to something else.
    #[error("{name} is not {expected}: {reason}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it, without its value, which may be secret.
        reason: String,
    },
}

/// Where Postgres is: `DATABASE_URL`.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    pub(crate) options: PgConnectOptions,
}

/// Where Redis is: `REDIS_URL`; whether that is a server of a cluster: `REDIS_CLUSTER`, by default `false`; who signs its
/// certificate: `REDIS_CA_FILE`, by default the public authorities; and what its keys begin with: `CACHE_KEY_PREFIX`, by
/// default nothing. A changed prefix makes a restored database start with an empty cache.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    pub(crate) client: Client,
    pub(crate) cluster: bool,
    pub(crate) prefix: String,
}

/// How callers are told apart: `AUTH_MODE`, which has no default, so that nothing is ever open by omission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityConfig {
    /// `jwt`: the authorizer has verified a token, and this claim names the owner: `OWNER_CLAIM`, by default `sub`.
    Jwt {
        /// The claim.
        claim: String,
    },
    /// `trusted_header`: the caller is trusted and names the owner in `x-owner-id`; without it, `DEFAULT_OWNER` if set.
    TrustedHeader {
        /// The owner where no header names one.
        default_owner: Option<OwnerId>,
    },
}

/// How log lines look: `LOG_FORMAT`, `json` by default or `text`; and from which level on: `LOG_LEVEL`, by default
/// `info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// JSON lines, or text for people.
    pub json: bool,
    /// A filter as `tracing-subscriber` reads it.
    pub level: String,
}

/// Reads one variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

#[expect(clippy::disallowed_methods, reason = "this is the one place where the environment is read")]
fn environment(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

/// Whether this program was started by Lambda, and is to wait for its events.
pub fn is_on_lambda() -> bool {
    environment("AWS_LAMBDA_RUNTIME_API").is_ok()
}

impl DatabaseConfig {
    /// Reads `DATABASE_URL`.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    /// From a URL.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        Self::read(&|_| Ok(url.to_owned()))
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "a URL like postgres://user:password@host:5432/database";
        let url = required(lookup, "DATABASE_URL", EXPECTED)?;
        let malformed =
            |reason: String| ConfigError::Malformed { name: "DATABASE_URL", expected: EXPECTED, reason };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(malformed("it does not begin with postgres://".into()));
        }
        let options = PgConnectOptions::from_str(&url).map_err(|error| malformed(error.to_string()))?;
        Ok(Self { options: options.application_name("conversation-store") })
    }
}

impl CacheConfig {
    /// Reads `REDIS_URL`, `REDIS_CLUSTER`, `REDIS_CA_FILE` and `CACHE_KEY_PREFIX`.
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
        Self::read(&|name| {
            let setting = settings.iter().find(|(set, _)| *set == name);
            setting.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "a URL like redis://host:6379, or rediss:// with TLS";
        const PREFIX: &str = "at most 64 visible ASCII characters without braces";
        let url = required(lookup, "REDIS_URL", EXPECTED)?;
        let malformed =
            |reason: String| ConfigError::Malformed { name: "REDIS_URL", expected: EXPECTED, reason };
        let info = url.into_connection_info().map_err(|error| malformed(error.category().to_owned()))?;
        let client = match authorities(lookup)? {
            Some(authorities) => with_authorities(info, authorities)?,
            None => Client::open(info).map_err(|error| malformed(error.to_string()))?,
        };
        let cluster = switch(lookup, "REDIS_CLUSTER")?;
        let prefix = optional(lookup, "CACHE_KEY_PREFIX", PREFIX)?.unwrap_or_default();
        let fits = prefix.len() <= 64 && prefix.bytes().all(|b| b.is_ascii_graphic() && !b"{}".contains(&b));
        if !fits {
            let reason = "it has other characters or more".into();
            return Err(ConfigError::Malformed { name: "CACHE_KEY_PREFIX", expected: PREFIX, reason });
        }
        Ok(Self { client, cluster, prefix })
    }
}

impl IdentityConfig {
    /// Reads `AUTH_MODE`, and `OWNER_CLAIM` or `DEFAULT_OWNER` with it.
    ///
    /// # Errors
    /// One of them is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "jwt or trusted_header";
        const OWNER: &str = "an owner id";
        match required(lookup, "AUTH_MODE", EXPECTED)?.as_str() {
            "jwt" => {
                let claim = optional(lookup, "OWNER_CLAIM", "the name of a claim")?;
                Ok(Self::Jwt { claim: claim.unwrap_or_else(|| "sub".into()) })
            }
            "trusted_header" => {
                let owner = optional(lookup, "DEFAULT_OWNER", OWNER)?.map(OwnerId::new).transpose();
                let default_owner = owner.map_err(|invalid| ConfigError::Malformed {
                    name: "DEFAULT_OWNER",
                    expected: OWNER,
                    reason: invalid.problem.to_string(),
                })?;
                Ok(Self::TrustedHeader { default_owner })
            }
            other => {
                let reason = format!("it is {other:?}");
                Err(ConfigError::Malformed { name: "AUTH_MODE", expected: EXPECTED, reason })
            }
        }
    }
}

impl LogConfig {
    /// Reads `LOG_FORMAT` and `LOG_LEVEL`.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    /// The same, for a program of which only this level on is of interest where none is set.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn from_env_or(level: &str) -> Result<Self, ConfigError> {
        Self::read(&|name| match (name, environment(name)) {
            ("LOG_LEVEL", Err(VarError::NotPresent)) => Ok(level.to_owned()),
            (_, set) => set,
        })
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "json or text";
        let json = match optional(lookup, "LOG_FORMAT", EXPECTED)?.as_deref() {
            None | Some("json") => true,
            Some("text") => false,
            Some(other) => {
                let reason = format!("it is {other:?}");
                return Err(ConfigError::Malformed { name: "LOG_FORMAT", expected: EXPECTED, reason });
            }
        };
        let level = optional(lookup, "LOG_LEVEL", "a level")?.unwrap_or_else(|| "info".into());
        Ok(Self { json, level })
    }
}

fn required(lookup: Lookup<'_>, name: &'static str, expected: &'static str) -> Result<String, ConfigError> {
    optional(lookup, name, expected)?.ok_or(ConfigError::Missing { name, expected })
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

/// Off unless it is said to be on.
fn switch(lookup: Lookup<'_>, name: &'static str) -> Result<bool, ConfigError> {
    const EXPECTED: &str = "true or false";
    match optional(lookup, name, EXPECTED)?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            Err(ConfigError::Malformed { name, expected: EXPECTED, reason: format!("it is {other:?}") })
        }
    }
}

/// An empty variable counts as one that is not set.
fn optional(
    lookup: Lookup<'_>,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<String>, ConfigError> {
    match lookup(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(ConfigError::Malformed { name, expected, reason: "it is not UTF-8".into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Result<String, VarError> + 'a {
        |name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        }
    }

    #[test]
    fn every_setting_that_fails_names_itself_on_one_line() {
        let database = |url| DatabaseConfig::read(&of(&[("DATABASE_URL", url)])).unwrap_err().to_string();
        let cache = |pairs: &[(&str, &str)]| CacheConfig::read(&of(pairs)).unwrap_err().to_string();
        let identity = |pairs: &[(&str, &str)]| IdentityConfig::read(&of(pairs)).unwrap_err().to_string();
        for (name, line) in [
            ("DATABASE_URL", database("")),
            ("DATABASE_URL", database("mysql://secret@host/db")),
            ("DATABASE_URL", database("postgres://host:port/db")),
            ("REDIS_URL", cache(&[])),
            ("REDIS_URL", cache(&[("REDIS_URL", "http://secret@host")])),
            ("REDIS_CLUSTER", cache(&[("REDIS_URL", "redis://h"), ("REDIS_CLUSTER", "yes")])),
            ("REDIS_CA_FILE", cache(&[("REDIS_URL", "rediss://h"), ("REDIS_CA_FILE", "/nowhere")])),
            ("REDIS_CA_FILE", cache(&[("REDIS_URL", "rediss://h"), ("REDIS_CA_FILE", "/dev/null")])),
            ("CACHE_KEY_PREFIX", cache(&[("REDIS_URL", "redis://h"), ("CACHE_KEY_PREFIX", "{a}")])),
            ("AUTH_MODE", identity(&[])),
            ("AUTH_MODE", identity(&[("AUTH_MODE", "none")])),
            ("DEFAULT_OWNER", identity(&[("AUTH_MODE", "trusted_header"), ("DEFAULT_OWNER", "a b")])),
            ("LOG_FORMAT", LogConfig::read(&of(&[("LOG_FORMAT", "xml")])).unwrap_err().to_string()),
        ] {
            assert!(line.starts_with(name) && !line.contains('\n') && !line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn identity_is_never_open_by_default() {
        let read = |pairs: &[(&str, &str)]| IdentityConfig::read(&of(pairs)).unwrap();
        assert_eq!(read(&[("AUTH_MODE", "jwt")]), IdentityConfig::Jwt { claim: "sub".into() });
        assert_eq!(
            read(&[("AUTH_MODE", "trusted_header")]),
            IdentityConfig::TrustedHeader { default_owner: None }
        );
    }
}
