//! Servers beside the one that the local stack runs, and what it takes to speak TLS with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use conversation_local::{Postgres, Tools};
use tempfile::TempDir;

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

/// An authority's certificate, and one that it signed for 127.0.0.1.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them; none if there is no `openssl`, and the test is to be skipped.
    pub fn make() -> Option<Self> {
        installed("openssl")?;
        let folder = tempfile::tempdir().unwrap_or_else(|error| fail(&error));
        let text = "[req]\ndistinguished_name = name\n[name]\n[authority]\nbasicConstraints = critical, CA:TRUE\n\
            [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
        std::fs::write(folder.path().join("openssl.cnf"), text).unwrap_or_else(|error| fail(&error));
        let key = "-newkey rsa:2048 -nodes -config openssl.cnf";
        let sign = "-req -days 2 -CA authority.pem -CAkey authority.key -CAcreateserial";
        for command in [
            format!(
                "req -x509 {key} -extensions authority -days 2 -subj /CN=authority -keyout authority.key -out authority.pem"
            ),
            format!("req -new {key} -subj /CN=server -keyout server.key -out server.csr"),
            format!("x509 {sign} -in server.csr -out server.pem -extfile openssl.cnf -extensions server"),
        ] {
            run(folder.path(), &command);
        }
        Some(Self(folder))
    }

    /// A file beside the certificates, with that in it.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| fail(&error));
        path.display().to_string()
    }

    /// The server's certificate and its key, each in a file.
    pub fn server(&self) -> [String; 2] {
        ["server.pem", "server.key"].map(|name| self.0.path().join(name).display().to_string())
    }

    /// The file that a client has to know.
    pub fn authority(&self) -> String {
        self.0.path().join("authority.pem").display().to_string()
    }

    /// What a server has to be told to speak TLS at a port.
    pub fn configuration(&self, port: u16) -> Vec<String> {
        let file = |name: &str| self.0.path().join(name).display().to_string();
        vec![
            format!("tls-port {port}"),
            format!("tls-cert-file {}", file("server.pem")),
            format!("tls-key-file {}", file("server.key")),
            format!("tls-ca-cert-file {}", file("authority.pem")),
            "tls-auth-clients no".into(),
        ]
    }
}

/// A Postgres as it is installed from a package, with TLS, and rules for who comes in how, in the form of `pg_hba.conf`, before
/// that for its superuser. None if it is not installed, and the test is to be skipped.
pub fn packaged_postgres(certificates: &Certificates, rules: &str) -> Option<Postgres> {
    let tools = Tools { postgres: installed_postgres()?, ..tools().clone() };
    let rules = format!("{rules}\nhost all postgres 127.0.0.1/32 password\n");
    let [certificate, key] = certificates.server();
    let settings = [
        "ssl=on".into(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
        format!("hba_file={}", certificates.file("pg_hba.conf", &rules)),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Some(Postgres::throwaway_with(&tools, &settings).unwrap_or_else(|trouble| fail(&trouble)))
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

fn run(folder: &Path, command: &str) {
    let output = Command::new("openssl").args(command.split(' ')).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| fail(&error));
    if !output.status.success() {
        fail(&String::from_utf8_lossy(&output.stderr));
    }
}
