//! PgBouncer, a pooler that gives every transaction another connection.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;

use conversation_local::{Postgres, Supervised};
use tempfile::TempDir;

use crate::programs::installed;
use crate::{fail, free_port};

/// A running PgBouncer, stopped when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    _process: Supervised,
    _folder: TempDir,
    port: u16,
}

impl PgBouncer {
    /// Starts one before a server, with so many connections to each of its databases. None if it is not installed, and the
    /// test is to be skipped.
    pub fn before(server: &Postgres, connections: u32) -> Option<Self> {
        let program = installed("pgbouncer")?;
        let folder = tempfile::tempdir().unwrap_or_else(|error| fail(&error));
        let port = free_port();
        let file = folder.path().join("pgbouncer.ini");
        // As it comes from the package, but for what is said here: it takes no parameters that it does not know.
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres password={}\n\
            [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
            pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 500\n",
            server.port(),
            server.password(),
        );
        std::fs::write(&file, text).unwrap_or_else(|error| fail(&error));
        let mut command: Vec<OsString> = vec![program.into()];
        if rustix::process::geteuid().is_root() {
            // It does not run as root.
            command.extend(["-u".into(), "nobody".into()]);
            for path in [folder.path(), &file] {
                let readable = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(path, readable).unwrap_or_else(|error| fail(&error));
            }
        }
        command.push(file.into());
        let log = folder.path().join("pgbouncer.log");
        let process = Supervised::start("PgBouncer", &command, "INT", &log, None);
        let mut process = process.unwrap_or_else(|error| fail(&error));
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        process.wait_until(answers).unwrap_or_else(|error| fail(&error));
        Some(Self { _process: process, _folder: folder, port })
    }

    /// Where it serves a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://anybody@127.0.0.1:{}/{database}", self.port)
    }
}
