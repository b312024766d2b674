//! A Valkey server of one's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guard::{Guarded, command_line};
use crate::postgres::temporary_folder;
use crate::{Outcome, Tools, Trouble, free_port, on_free_port, random_password};

/// A running server on a port of 127.0.0.1, stopped when dropped.
#[derive(Debug)]
pub struct Valkey {
    process: Guarded,
    port: u16,
    password: String,
}

impl Valkey {
    /// Starts a server whose data stays in `folder`.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn keep(tools: &Tools, folder: &Path) -> Outcome<Self> {
        let cannot =
            |error: std::io::Error| Trouble::because(&format!("cannot use {}", folder.display()), &error);
        fs::create_dir_all(folder).map_err(cannot)?;
        Self::start(tools, folder, None, &random_password(), &["save 60 1"])
    }

    /// Starts a server whose data goes with it, with further lines of configuration.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn throwaway(tools: &Tools, configuration: &[&str]) -> Outcome<Self> {
        Self::throwaway_with_password(tools, &random_password(), configuration)
    }

    /// Starts a server that is to become part of a cluster, whose servers have one password in common.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn cluster_member(tools: &Tools, password: &str, configuration: &[&str]) -> Outcome<Self> {
        let start = || {
            let (bus, auth) = (format!("cluster-port {}", free_port()?), format!("masterauth {password}"));
            let configuration = [&["cluster-enabled yes", &bus, &auth], configuration].concat();
            Self::throwaway_with_password(tools, password, &configuration)
        };
        // Once more if the port for the others was taken meanwhile.
        start().or_else(|_| start())
    }

    /// The same, with a password that others have too.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn throwaway_with_password(tools: &Tools, password: &str, configuration: &[&str]) -> Outcome<Self> {
        let configuration = [&["save \"\""], configuration].concat();
        // The guard removes the folder of an attempt that fails, so that the next one needs another.
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
    ) -> Outcome<Self> {
        on_free_port(|port| {
            let file = write_configuration(folder, port, password, configuration)?;
            let command = command_line([tools.valkey.as_os_str(), file.as_os_str()]);
            let mut process = Guarded::start("Valkey", &command, "TERM", &folder.join("valkey.log"), remove)?;
            let mut who = None;
            process.wait_until(|| {
                who = process_at(port, password);
                who.is_some()
            })?;
            // The port may have been taken meanwhile by another server with this password.
            if who != Some(process.pid()?) {
                return Err(Trouble(format!("another Valkey has taken port {port}")));
            }
            Ok(Self { process, port, password: password.to_owned() })
        })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.password, self.port)
    }

    /// Why it does not run any more; none while it does.
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.process.trouble()
    }

    /// The process id of the server itself.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Outcome<u32> {
        self.process.pid()
    }
}

/// The password goes into a file, since others can read a command line.
fn write_configuration(folder: &Path, port: u16, password: &str, more: &[&str]) -> Outcome<PathBuf> {
    let file = folder.join("valkey.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nrequirepass {password}\ndir \"{}\"\n{}\n",
        folder.display(),
        more.join("\n")
    );
    let cannot =
        |error: std::io::Error| Trouble::because(&format!("cannot write {}", file.display()), &error);
    fs::write(&file, text).map_err(cannot)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    Ok(file)
}

/// The process id of the server that answers there, and has loaded what it keeps.
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
