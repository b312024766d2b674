//! A private Valkey server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Error, Result, ensure};

use crate::endpoint::{free_port, on_free_port, random_password};
use crate::folders::temporary_folder;
use crate::supervisor::{Supervised, command_line};
use crate::tools::Tools;

/// A running server on a port of 127.0.0.1, stopped when dropped.
#[derive(Debug)]
pub struct Valkey {
    process: Supervised,
    port: u16,
    password: String,
}

impl Valkey {
    /// Starts a server whose data stays in `folder`.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn keep(tools: &Tools, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot use {}", folder.display()))?;
        Self::start(tools, folder, None, &random_password(), &["save 60 1"])
    }

    /// Starts a server whose data is deleted with it, with further lines of configuration.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn throwaway(tools: &Tools, configuration: &[&str]) -> Result<Self> {
        Self::throwaway_with_password(tools, &random_password(), configuration)
    }

    /// Starts a server that is to become part of a cluster, whose servers have one password in common.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn cluster_member(tools: &Tools, password: &str, configuration: &[&str]) -> Result<Self> {
        let start = || {
            let (bus, auth) = (format!("cluster-port {}", free_port()?), format!("masterauth {password}"));
            let configuration = [&["cluster-enabled yes", &bus, &auth], configuration].concat();
            Self::throwaway_with_password(tools, password, &configuration)
        };
        // Once more if the port for the others was taken meanwhile.
        start().or_else(|_| start())
    }

    /// Starts such a server with a password that other servers have too.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn throwaway_with_password(tools: &Tools, password: &str, configuration: &[&str]) -> Result<Self> {
        let configuration = [&["save \"\""], configuration].concat();
        // The supervisor removes the folder of an attempt that fails, so that the next one needs another.
        let start = || {
            let folder = temporary_folder("valkey")?;
            Self::start(tools, &folder, Some(&folder), password, &configuration)
        };
        start().or_else(|_| start())
    }

    fn start(
        tools: &Tools,
        folder: &Path,
        remove: Option<&Path>,
        password: &str,
        configuration: &[&str],
    ) -> Result<Self> {
        on_free_port(|port| {
            let file = write_configuration(folder, port, password, configuration)?;
            let command = command_line([tools.valkey.as_os_str(), file.as_os_str()]);
            let mut process =
                Supervised::start("Valkey", &command, "TERM", &folder.join("valkey.log"), remove)?;
            let mut who = None;
            process.wait_until(|| {
                who = process_at(port, password);
                who.is_some()
            })?;
            // The port may have been taken meanwhile by another server with this password.
            ensure!(who == Some(process.pid()?), "another Valkey has taken port {port}");
            Ok(Self { process, port, password: password.to_owned() })
        })
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.password, self.port)
    }

    /// Says in one line why it has ended; `None` while it runs.
    pub fn exit_reason(&mut self) -> Option<Error> {
        self.process.exit_reason()
    }

    /// Returns the process id of the server itself.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<u32> {
        self.process.pid()
    }
}

/// Writes the configuration. The password stands in it, since other users can read a command line.
fn write_configuration(folder: &Path, port: u16, password: &str, more: &[&str]) -> Result<PathBuf> {
    let file = folder.join("valkey.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nrequirepass {password}\ndir \"{}\"\n{}\n",
        folder.display(),
        more.join("\n")
    );
    let written =
        fs::write(&file, text).and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)));
    written.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Returns the process id of the server that answers at a port and has loaded its data.
fn process_at(port: u16, password: &str) -> Option<u32> {
    let ask = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        connection.write_all(format!("AUTH {password}\r\nPING\r\nINFO server\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().ok()?;
    if !answer.contains("+PONG") {
        return None;
    }
    answer.lines().find_map(|line| line.strip_prefix("process_id:"))?.parse().ok()
}
