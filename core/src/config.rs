//! The settings, read from the environment once, at start.

mod cache;
mod database;
mod hosts;
mod retention;
mod sharding;

use std::env::VarError;

use thiserror::Error;

use crate::types::conversation::OwnerId;

pub use cache::CacheConfig;
pub use database::DatabaseConfig;
pub use sharding::Sharding;

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

/// How callers are identified: `AUTH_MODE`, which has no default, so that nothing is ever open by omission.
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
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// Which numbers of a request are metrics: `METRICS`, by default `emf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsMode {
    /// `off`: none, and no line has the numbers.
    Off,
    /// `essential`: few. The line has the other numbers as fields.
    Essential,
    /// `emf`: all.
    Full,
}

/// What each request emits beside its log lines: metrics, as [`MetricsMode`] says; and spans, `TRACES`,
/// `off` by default or `xray`, which go to X-Ray's daemon at `AWS_XRAY_DAEMON_ADDRESS`. Metrics have the dimension of the store that
/// they are of: `STORE_NAME`, by default `local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Which metrics are emitted, in CloudWatch's embedded metric format.
    pub metrics: MetricsMode,
    /// Where spans go, as host and port; none: nowhere.
    pub traces: Option<String>,
    /// Whose metrics these are: the name of what was deployed together.
    pub store: String,
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

/// How many connections to Postgres may be opened at a time, all functions of a deployment together: `CONNECTIONS_NEEDED`,
/// if whoever deploys them says so.
///
/// # Errors
/// It is no number.
pub fn connections_needed() -> Result<Option<u32>, ConfigError> {
    const NAME: &str = "CONNECTIONS_NEEDED";
    let malformed = |_| ConfigError::Malformed {
        name: NAME,
        expected: "a whole number",
        reason: "it is too large".into(),
    };
    number(&environment, NAME)?.map(|needed| needed.try_into().map_err(malformed)).transpose()
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

impl TelemetryConfig {
    /// Reads `METRICS`, `TRACES`, `AWS_XRAY_DAEMON_ADDRESS` and `STORE_NAME`.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let metrics = one_of(
            lookup,
            "METRICS",
            "emf, essential or off",
            &[("emf", MetricsMode::Full), ("essential", MetricsMode::Essential), ("off", MetricsMode::Off)],
        )?;
        let traces = one_of(lookup, "TRACES", "xray or off", &[("off", false), ("xray", true)])?;
        // Where the daemon is unless something else is said, by X-Ray's convention.
        let daemon = optional(lookup, "AWS_XRAY_DAEMON_ADDRESS", "a host and a port")?;
        let daemon = daemon.unwrap_or_else(|| "127.0.0.1:2000".into());
        Ok(Self { metrics, traces: traces.then_some(daemon), store: store_name(lookup)? })
    }
}

/// What one of some words stands for; the first is the default.
fn one_of<T: Copy>(
    lookup: Lookup<'_>,
    name: &'static str,
    expected: &'static str,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    let given = optional(lookup, name, expected)?;
    let chosen = match &given {
        None => choices.first(),
        Some(word) => choices.iter().find(|(choice, _)| choice == word),
    };
    let reason = || format!("it is {:?}", given.as_deref().unwrap_or_default());
    chosen.map(|(_, meaning)| *meaning).ok_or_else(|| ConfigError::Malformed {
        name,
        expected,
        reason: reason(),
    })
}

/// As CloudFormation takes names of stacks.
fn store_name(lookup: Lookup<'_>) -> Result<String, ConfigError> {
    const EXPECTED: &str = "a name of letters, digits and hyphens, of 128 at most";
    let name = optional(lookup, "STORE_NAME", EXPECTED)?.unwrap_or_else(|| "local".into());
    let fits = name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let reason = || "it is something else".to_owned();
    if fits {
        Ok(name)
    } else {
        Err(ConfigError::Malformed { name: "STORE_NAME", expected: EXPECTED, reason: reason() })
    }
}

fn required(lookup: Lookup<'_>, name: &'static str, expected: &'static str) -> Result<String, ConfigError> {
    optional(lookup, name, expected)?.ok_or(ConfigError::Missing { name, expected })
}

/// Settings that stand for those of the environment; of one that is there twice the first counts.
fn of_settings<'a>(settings: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Result<String, VarError> + 'a {
    |name| {
        let setting = settings.iter().find(|(set, _)| *set == name);
        setting.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
    }
}

/// How one logs in to a server.
enum Auth {
    /// With the password of the URL.
    Password,
    /// With tokens of AWS IAM.
    Iam,
}

fn auth(lookup: Lookup<'_>, name: &'static str) -> Result<Auth, ConfigError> {
    const EXPECTED: &str = "password or iam";
    match optional(lookup, name, EXPECTED)?.as_deref() {
        None | Some("password") => Ok(Auth::Password),
        Some("iam") => Ok(Auth::Iam),
        Some(other) => {
            Err(ConfigError::Malformed { name, expected: EXPECTED, reason: format!("it is {other:?}") })
        }
    }
}

/// Where the servers are that take tokens of IAM. Lambda and ECS set it.
fn region(lookup: Lookup<'_>) -> Result<String, ConfigError> {
    required(lookup, "AWS_REGION", "the region of the servers, like eu-central-1")
}

fn number(lookup: Lookup<'_>, name: &'static str) -> Result<Option<usize>, ConfigError> {
    const EXPECTED: &str = "a whole number";
    let text = optional(lookup, name, EXPECTED)?;
    let malformed =
        |_| ConfigError::Malformed { name, expected: EXPECTED, reason: "it is something else".into() };
    text.map(|text| text.parse().map_err(malformed)).transpose()
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

    #[test]
    fn every_setting_that_fails_names_itself_on_one_line() {
        let database =
            |url| DatabaseConfig::read(&of_settings(&[("DATABASE_URL", url)])).unwrap_err().to_string();
        let cache = |pairs: &[(&str, &str)]| CacheConfig::read(&of_settings(pairs)).unwrap_err().to_string();
        let identity =
            |pairs: &[(&str, &str)]| IdentityConfig::read(&of_settings(pairs)).unwrap_err().to_string();
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
            ("METRICS", TelemetryConfig::read(&of_settings(&[("METRICS", "on")])).unwrap_err().to_string()),
            ("TRACES", TelemetryConfig::read(&of_settings(&[("TRACES", "otlp")])).unwrap_err().to_string()),
            (
                "STORE_NAME",
                TelemetryConfig::read(&of_settings(&[("STORE_NAME", "a b")])).unwrap_err().to_string(),
            ),
            ("LOG_FORMAT", LogConfig::read(&of_settings(&[("LOG_FORMAT", "xml")])).unwrap_err().to_string()),
        ] {
            assert!(line.starts_with(name) && !line.contains('\n') && !line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn every_number_is_a_metric_unless_fewer_are_asked_for() {
        let read = |pairs: &[(&str, &str)]| TelemetryConfig::read(&of_settings(pairs)).unwrap().metrics;
        assert_eq!(read(&[]), MetricsMode::Full);
        for (value, mode) in
            [("emf", MetricsMode::Full), ("essential", MetricsMode::Essential), ("off", MetricsMode::Off)]
        {
            assert_eq!(read(&[("METRICS", value)]), mode);
        }
    }

    #[test]
    fn identity_is_never_open_by_default() {
        let read = |pairs: &[(&str, &str)]| IdentityConfig::read(&of_settings(pairs)).unwrap();
        assert_eq!(read(&[("AUTH_MODE", "jwt")]), IdentityConfig::Jwt { claim: "sub".into() });
        assert_eq!(
            read(&[("AUTH_MODE", "trusted_header")]),
            IdentityConfig::TrustedHeader { default_owner: None }
        );
    }
}
