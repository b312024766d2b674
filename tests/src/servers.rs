//! Servers beside the one that the local stack runs, and what it takes to speak TLS with them.

use std::path::PathBuf;

use conversation_local::{Certificates, Postgres, Tools};

use crate::programs::{installed, skipped};
use crate::{fail, tools};

/// A server that the store is to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The one that the local stack runs.
    Valkey,
    /// The one that is installed: Redis, from a package.
    Redis,
}

impl Server {
    /// The tools, with this server in Valkey's place; none if it is not installed, and the test is to be skipped.
    pub fn tools(self) -> Option<Tools> {
        match self {
            Self::Valkey => Some(tools().clone()),
            Self::Redis => {
                let program = installed("redis-server")?;
                Some(Tools { valkey: program, ..tools().clone() })
            }
        }
    }
}

/// Certificates for a server of this machine; none if there is no `openssl`, and the test is to be skipped.
pub fn certificates() -> Option<Certificates> {
    installed("openssl")?;
    Some(Certificates::make().unwrap_or_else(|error| fail(&error)))
}

/// A Postgres as it is installed from a package, with TLS, and rules for who comes in how, in the form of `pg_hba.conf`, before
/// that for its superuser. None if it is not installed, and the test is to be skipped.
pub fn packaged_postgres(certificates: &Certificates, rules: &str) -> Option<Postgres> {
    let tools = Tools { postgres: installed_postgres()?, ..tools().clone() };
    let rules = format!("{rules}\nhost all postgres 127.0.0.1/32 password\n");
    let rules = certificates.file("pg_hba.conf", &rules).unwrap_or_else(|error| fail(&error));
    let [certificate, key] = certificates.server();
    let settings = [
        "ssl=on".into(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
        format!("hba_file={rules}"),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Some(Postgres::throwaway_with(&tools, &settings).unwrap_or_else(|error| fail(&error)))
}

/// The folder of the programs of the newest Postgres that Debian's packages have installed.
fn installed_postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders.filter(|folder| folder.join("postgres").is_file()).max();
    if newest.is_none() {
        skipped("no package of PostgreSQL is installed");
    }
    newest
}
