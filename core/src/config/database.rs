//! Where Postgres is, and how one logs in there.

use std::fmt;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::hosts::Hosts;
use super::{Auth, ConfigError, Lookup, auth, environment, number, of_settings, region, required, switch};
use crate::iam::{Audience, Iam};
use crate::types::record::RECORD_BYTES;

/// Where Postgres is: `DATABASE_URL`; how one logs in: `DATABASE_AUTH`, `password` by default or `iam`; and whether what is
/// there is a pooler that gives each transaction a connection, as RDS Proxy and PgBouncer do: `DATABASE_POOLER`, by default
/// `false`.
///
/// The URL may name several hosts, separated by commas, of one database: the coordinators of a cluster, say. A connection goes to
/// the first that can be reached, or with `load_balance_hosts=random` to any of them.
///
/// `RECORD_BYTES` is the largest value that a record may have: 4 MiB by default, and no more.
///
/// With `iam` the URL names a user and has no password, `AWS_REGION` says where the database is, and the server must prove
/// by a certificate that it has the name in the URL.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// What a connection is opened with, for each host; at least one.
    pub(crate) hosts: Vec<PgConnectOptions>,
    /// Connections begin with a host drawn at random, otherwise with the first.
    pub(crate) balanced: bool,
    pub(crate) iam: Option<Iam>,
    pub(crate) pooler: bool,
    pub(crate) connections: usize,
    /// The largest value of a record.
    pub(crate) record_bytes: usize,
}

/// The most connections of a process elsewhere than on Lambda.
const CONNECTIONS: usize = 4;

/// Amazon's authorities for RDS, each under the name of its region.
const RDS_ROOTS: &str = include_str!("../../data/rds-roots.pem");

const EXPECTED: &str = "a URL like postgres://user:password@host:5432/database";

fn malformed(reason: impl Into<String>) -> ConfigError {
    ConfigError::Malformed { name: "DATABASE_URL", expected: EXPECTED, reason: reason.into() }
}

/// Without what is secret, unlike the client's own.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(|host| format!("{}:{}", host.get_host(), host.get_port()));
        f.debug_struct("DatabaseConfig")
            .field("hosts", &hosts.collect::<Vec<_>>())
            .field("balanced", &self.balanced)
            .field("database", &self.hosts.first().and_then(PgConnectOptions::get_database))
            .field("iam", &self.iam)
            .field("pooler", &self.pooler)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl DatabaseConfig {
    /// Reads `DATABASE_URL`, `DATABASE_AUTH` and `DATABASE_POOLER`; and, as Lambda sets them, `AWS_REGION` and
    /// `AWS_LAMBDA_MAX_CONCURRENCY`.
    ///
    /// # Errors
    /// One of them is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    /// From a URL.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        Self::from_settings(&[("DATABASE_URL", url)])
    }

    /// From settings that stand for those of the environment.
    ///
    /// # Errors
    /// As [`DatabaseConfig::from_env`].
    pub fn from_settings(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::read(&of_settings(settings))
    }

    /// The same database, as somebody else, who has a password.
    #[must_use]
    pub fn as_user(&self, name: &str, password: &str) -> Self {
        let hosts = self.hosts.iter().map(|host| host.clone().username(name).password(password)).collect();
        Self { hosts, iam: None, ..self.clone() }
    }

    /// The first host alone: the one of a cluster that may change its schema.
    #[must_use]
    pub fn first_host(&self) -> Self {
        Self { hosts: self.hosts.iter().take(1).cloned().collect(), ..self.clone() }
    }

    /// Who connects.
    pub fn user(&self) -> &str {
        self.hosts.first().map_or("", PgConnectOptions::get_username)
    }

    pub(super) fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let url = required(lookup, "DATABASE_URL", EXPECTED)?;
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(malformed("it does not begin with postgres://"));
        }
        let Hosts { urls, balanced } = Hosts::of(&url).map_err(malformed)?;
        let (mut hosts, mut iam) = (Vec::with_capacity(urls.len()), None);
        let pooler = switch(lookup, "DATABASE_POOLER")?;
        for url in &urls {
            let options = PgConnectOptions::from_str(url).map_err(|error| malformed(error.to_string()))?;
            let mut options = trusting_rds(options, url).application_name("conversation-store");
            if matches!(auth(lookup, "DATABASE_AUTH")?, Auth::Iam) {
                if urls.len() > 1 {
                    return Err(malformed(
                        "with DATABASE_AUTH=iam it names one host, for which the token is",
                    ));
                }
                let (without, audience) = without_password(options, url)?;
                options = without;
                iam = Some(Iam { audience, region: region(lookup)? });
            }
            // A parameter at the start of a session that not every pooler takes, and that only text of floats would need.
            hosts.push(if pooler { options.extra_float_digits(None) } else { options });
        }
        Ok(Self {
            hosts,
            balanced,
            iam,
            pooler,
            connections: connections(lookup)?,
            record_bytes: record_bytes(lookup)?,
        })
    }
}

/// No more than the functions can take and answer.
fn record_bytes(lookup: Lookup<'_>) -> Result<usize, ConfigError> {
    const NAME: &str = "RECORD_BYTES";
    let bytes = number(lookup, NAME)?.unwrap_or(RECORD_BYTES);
    if bytes > RECORD_BYTES {
        return Err(ConfigError::Malformed {
            name: NAME,
            expected: "a number of bytes up to 4194304",
            reason: format!("it is {bytes}"),
        });
    }
    Ok(bytes)
}

/// One for each request that comes at a time: Lambda says how many that are, or nothing, where it is one.
fn connections(lookup: Lookup<'_>) -> Result<usize, ConfigError> {
    let on_lambda = lookup("AWS_LAMBDA_RUNTIME_API").is_ok();
    let usual = if on_lambda { 1 } else { CONNECTIONS };
    Ok(number(lookup, "AWS_LAMBDA_MAX_CONCURRENCY")?.unwrap_or(usual).max(1))
}

/// Who the token is for, and options without a password and with no way but that of TLS to a server that proves its name.
fn without_password(
    options: PgConnectOptions,
    url: &str,
) -> Result<(PgConnectOptions, Audience), ConfigError> {
    let authority = url.split("://").nth(1).unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.is_empty() {
        return Err(malformed("with DATABASE_AUTH=iam it has to name a user"));
    }
    if user.contains(':') || url.contains("password=") {
        return Err(malformed("with DATABASE_AUTH=iam there is no password in it"));
    }
    match options.get_ssl_mode() {
        // The mode when nothing is said of it.
        PgSslMode::Prefer | PgSslMode::VerifyFull => {}
        _ => return Err(malformed("with DATABASE_AUTH=iam its sslmode is verify-full")),
    }
    let audience = Audience::Database {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        user: options.get_username().to_owned(),
    };
    Ok((options.ssl_mode(PgSslMode::VerifyFull), audience))
}

/// An RDS server's certificate is signed by an authority of Amazon's own, unlike that of an RDS Proxy.
fn trusting_rds(options: PgConnectOptions, url: &str) -> PgConnectOptions {
    let named = ["sslrootcert=", "ssl-root-cert=", "ssl-ca="].iter().any(|name| url.contains(name));
    match rds_roots(options.get_host()) {
        Some(roots) if !named => options.ssl_root_cert_from_pem(roots.into()),
        _ => options,
    }
}

/// The authorities of the region in an endpoint's name; all of them where it is a region that is not among them.
fn rds_roots(host: &str) -> Option<&'static str> {
    let region = rds_region(host)?;
    let own = RDS_ROOTS.split_once(&format!("region: {region}\n")).map(|(_, roots)| roots);
    Some(own.and_then(|roots| roots.split("\n\n").next()).unwrap_or(RDS_ROOTS))
}

/// `NAME.ID.REGION.rds.amazonaws.com`, and in China `NAME.ID.rds.REGION.amazonaws.com.cn`.
fn rds_region(host: &str) -> Option<&str> {
    let host = host.trim_end_matches('.');
    let (name, region) = if let Some(name) = host.strip_suffix(".amazonaws.com.cn") {
        let (name, last) = name.rsplit_once('.')?;
        match name.strip_suffix(".rds") {
            Some(name) => (name, last),
            None if last == "rds" => name.rsplit_once('.')?,
            None => return None,
        }
    } else {
        host.strip_suffix(".rds.amazonaws.com")?.rsplit_once('.')?
    };
    (!name.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;

    use super::*;

    const IAM: [(&str, &str); 2] = [("DATABASE_AUTH", "iam"), ("AWS_REGION", "eu-central-1")];

    fn with(url: &str, more: &[(&str, &str)]) -> Result<DatabaseConfig, ConfigError> {
        DatabaseConfig::from_settings(&[&[("DATABASE_URL", url)], more].concat())
    }

    #[test]
    fn a_token_goes_only_to_a_server_that_proves_its_name() {
        let config = with("postgres://app@db:5433/c", &IAM).unwrap();
        let audience = Audience::Database { host: "db".into(), port: 5433, user: "app".into() };
        assert_eq!(config.iam, Some(Iam { audience, region: "eu-central-1".into() }));
        assert!(matches!(config.hosts[0].get_ssl_mode(), PgSslMode::VerifyFull));
        for url in [
            "postgres://db/c",
            "postgres://app:secret@db/c",
            "postgres://app@db/c?password=secret",
            "postgres://app@db/c?sslmode=disable",
            "postgres://app@db/c?sslmode=require",
            "postgres://app@db/c?sslmode=verify-ca",
        ] {
            let said = with(url, &IAM).unwrap_err().to_string();
            assert!(said.starts_with("DATABASE_URL") && !said.contains("secret"), "{said}");
        }
        let said = with("postgres://app@db/c", &[("DATABASE_AUTH", "iam")]).unwrap_err().to_string();
        assert!(said.starts_with("AWS_REGION"), "{said}");
    }

    #[test]
    fn somebody_else_comes_with_a_password() {
        let other = with("postgres://app@db/c", &IAM).unwrap().as_user("owner", "secret");
        assert_eq!((other.iam.clone(), other.user()), (None, "owner"));
        assert!(matches!(other.hosts[0].get_ssl_mode(), PgSslMode::VerifyFull));
    }

    #[test]
    fn what_is_shown_of_it_has_no_password() {
        let shown = format!("{:?}", with("postgres://app:secret@db/c", &[]).unwrap());
        assert!(shown.contains("\"db:5432\"") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn several_hosts_are_those_of_one_database() {
        let several = with("postgres://app:secret@one,two:5433/c?load_balance_hosts=random", &[]).unwrap();
        let hosts = several.hosts.iter().map(|host| (host.get_host(), host.get_port(), host.get_database()));
        assert_eq!(hosts.collect::<Vec<_>>(), [("one", 5432, Some("c")), ("two", 5433, Some("c"))]);
        assert!(several.balanced);
        assert_eq!(several.first_host().hosts.len(), 1);
        assert_eq!(several.first_host().hosts[0].get_host(), "one");
        assert_eq!(several.as_user("owner", "other").hosts[1].get_username(), "owner");
        let said = with("postgres://app@one,two/c", &IAM).unwrap_err().to_string();
        assert!(said.contains("one host"), "{said}");
    }

    #[test]
    fn a_function_has_a_connection_for_each_request_at_a_time() {
        let connections = |more: &[_]| with("postgres://app@db/c", more).map(|config| config.connections);
        let on_lambda = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
        assert_eq!(connections(&[]), Ok(CONNECTIONS));
        assert_eq!(connections(&[on_lambda]), Ok(1));
        assert_eq!(connections(&[on_lambda, ("AWS_LAMBDA_MAX_CONCURRENCY", "16")]), Ok(16));
        assert!(connections(&[on_lambda, ("AWS_LAMBDA_MAX_CONCURRENCY", "many")]).is_err());
    }

    #[test]
    fn an_endpoint_of_rds_is_known_by_the_authorities_of_its_region() {
        let roots = |host| rds_roots(host).unwrap_or_default().matches("BEGIN CERTIFICATE").count();
        for host in [
            "store.c1a2b3.eu-central-1.rds.amazonaws.com",
            "store.cluster-c1a2b3.us-east-1.rds.amazonaws.com",
            "proxy.proxy-c1a2b3.af-south-1.rds.amazonaws.com",
            "store.c1a2b3.il-central-1.rds.amazonaws.com.",
        ] {
            assert_eq!(roots(host), 3, "{host}");
        }
        for host in
            ["rds.amazonaws.com", "eu-central-1.rds.amazonaws.com.example.org", "a.amazonaws.com.cn", "db"]
        {
            assert_eq!(roots(host), 0, "{host}");
        }
        let url =
            |host| with(&format!("postgres://a@{host}/c"), &[]).unwrap().hosts[0].to_url_lossy().to_string();
        assert!(url("store.c1a2b3.eu-west-1.rds.amazonaws.com").contains("BEGIN"));
        assert!(!url("store.c1a2b3.eu-west-1.rds.amazonaws.com/c?sslrootcert=/a&b=").contains("BEGIN"));
    }

    #[test]
    fn where_a_region_is_not_among_those_with_authorities_all_of_them_are_tried() {
        let regions = RDS_ROOTS.matches("\nregion: ").count();
        assert!(regions >= 28, "{regions}");
        assert_eq!(rds_roots("store.c1a2b3.xy-nowhere-9.rds.amazonaws.com"), Some(RDS_ROOTS));
        assert_eq!(RDS_ROOTS.matches("BEGIN CERTIFICATE").count(), regions * 3);
        assert_eq!(rds_region("store.c1a2b3.rds.cn-north-1.amazonaws.com.cn"), Some("cn-north-1"));
        assert_eq!(rds_region("store.c1a2b3.cn-northwest-1.rds.amazonaws.com.cn"), Some("cn-northwest-1"));
        let china = with("postgres://a@store.c1.rds.cn-north-1.amazonaws.com.cn/c", &[]).unwrap();
        assert_eq!(
            china.hosts[0].to_url_lossy().as_str().matches("BEGIN").count(),
            regions * 3,
            "it can be read"
        );
    }
}
