//! A private Postgres server.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Error, Result, bail};

use crate::endpoint::{on_free_port, random_password};
use crate::folders::temporary_folder;
use crate::supervisor::{Supervised, command_line};
use crate::tools::Tools;

/// A running server on a port of 127.0.0.1, stopped when dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Supervised,
    port: u16,
    password: String,
}

/// The fate of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It is kept, and survives a crash.
    Keep,
    /// It is thrown away, so that nothing waits for the disk.
    Throwaway,
}

impl Postgres {
    /// Starts a server whose data stays in `folder`.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn keep(tools: &Tools, folder: &Path) -> Result<Self> {
        Self::start(tools, folder, Purpose::Keep, &[])
    }

    /// Starts a server whose data is deleted with it.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn throwaway(tools: &Tools) -> Result<Self> {
        Self::throwaway_with(tools, &[])
    }

    /// Starts such a server with further settings, each as `name=value`.
    ///
    /// # Errors
    /// It does not start; the last line of its log is in the message.
    pub fn throwaway_with(tools: &Tools, more: &[&str]) -> Result<Self> {
        // The supervisor removes the folder of an attempt that fails, so that the next one needs another.
        let start = || Self::start(tools, &temporary_folder("postgres")?, Purpose::Throwaway, more);
        start().or_else(|_| start())
    }

    fn start(tools: &Tools, folder: &Path, purpose: Purpose, more: &[&str]) -> Result<Self> {
        let cannot = || format!("cannot use {}", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        let user = User::to_become()?;
        let data = folder.join("data");
        let password = if data.join("PG_VERSION").is_file() {
            fs::read_to_string(folder.join("password")).with_context(cannot)?
        } else {
            initialise(tools, folder, &data, user.as_ref(), purpose)?
        };
        let remove = (purpose == Purpose::Throwaway).then_some(folder);
        on_free_port(|port| {
            let mut command = command(tools, user.as_ref(), &data, port, purpose);
            for setting in more {
                command.extend(command_line(["-c", setting]));
            }
            // SIGINT is what Postgres calls a fast shutdown: it does not wait for clients.
            let mut process =
                Supervised::start("PostgreSQL", &command, "INT", &folder.join("postgres.log"), remove)?;
            process.wait_until(|| is_ready(tools, port))?;
            Ok(Self { process, port, password: password.clone() })
        })
    }

    /// Creates a database if it is missing.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create_database(&self, tools: &Tools, name: &str) -> Result<()> {
        let output = Command::new(tools.postgres.join("createdb"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), name])
            .env("PGPASSWORD", &self.password)
            .output();
        let output = output.context("cannot run createdb")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || said.contains("already exists") {
            return Ok(());
        }
        bail!("cannot create the database {name}: {}", said.trim())
    }

    /// Returns the file of its log.
    pub fn log(&self) -> Option<&Path> {
        self.process.log()
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the password of its superuser, `postgres`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
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

fn command(tools: &Tools, user: Option<&User>, data: &Path, port: u16, purpose: Purpose) -> Vec<OsString> {
    let mut command = run_as(user);
    command.extend(command_line([
        tools.postgres.join("postgres").as_os_str(),
        "-D".as_ref(),
        data.as_os_str(),
    ]));
    for setting in settings(port, purpose) {
        command.extend(command_line(["-c", &setting]));
    }
    command
}

fn settings(port: u16, purpose: Purpose) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        "unix_socket_directories=".into(),
        "max_connections=200".into(),
    ];
    if purpose == Purpose::Throwaway {
        // Of 128 MB, the default, a large table is read from the file system, as from no server of this size in earnest.
        let quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=512MB"];
        settings.extend(quick.map(String::from));
    }
    settings
}

/// Makes a new cluster with a password of its own, since other users of this machine can reach its port.
fn initialise(
    tools: &Tools,
    folder: &Path,
    data: &Path,
    user: Option<&User>,
    purpose: Purpose,
) -> Result<String> {
    let cannot = || format!("cannot use {}", folder.display());
    // What an interrupted attempt left behind.
    if data.exists() {
        fs::remove_dir_all(data).with_context(cannot)?;
    }
    fs::create_dir(data).with_context(cannot)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).with_context(cannot)?;
    let password = random_password();
    let password_file = folder.join("password");
    fs::write(&password_file, &password).with_context(cannot)?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600)).with_context(cannot)?;
    if let Some(user) = user {
        for path in [data, &password_file] {
            chown(path, Some(user.uid), Some(user.gid)).with_context(cannot)?;
        }
    }
    let mut command = run_as(user);
    command.extend(command_line([
        tools.postgres.join("initdb").as_os_str(),
        "-D".as_ref(),
        data.as_os_str(),
    ]));
    command.extend(command_line(["--username=postgres", "--auth=password", "--encoding=UTF8", "--locale=C"]));
    command.extend(command_line(["--no-instructions", "--pwfile"]));
    command.push(password_file.into());
    if purpose == Purpose::Throwaway {
        command.push("--no-sync".into());
    }
    let (program, arguments) = command.split_first().context("initdb: nothing to run")?;
    let output = Command::new(program).args(arguments).current_dir("/").output();
    let output = output.context("cannot run initdb")?;
    if output.status.success() {
        return Ok(password);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().find(|line| line.contains("error")).or(said.lines().last()).unwrap_or_default();
    bail!("PostgreSQL cannot initialise {}: {reason}", data.display())
}

fn is_ready(tools: &Tools, port: u16) -> bool {
    let mut command = Command::new(tools.postgres.join("pg_isready"));
    command
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

/// The user that runs Postgres where we are root, as which it refuses to run.
#[derive(Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Finds a harmless user, if we are root.
    fn to_become() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, "nobody"]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        match (id("-u"), id("-g")) {
            (Some(uid), Some(gid)) => Ok(Some(Self { uid, gid })),
            _ => bail!("PostgreSQL does not run as root, and there is no user nobody to run it as"),
        }
    }
}

/// Returns what stands before a command that another user runs. The checkout may lie in a folder that only root can
/// enter, so the one right of root's that is kept is that of passing through.
fn run_as(user: Option<&User>) -> Vec<OsString> {
    let Some(User { uid, gid }) = user else { return Vec::new() };
    command_line([
        "setpriv".to_owned(),
        format!("--reuid={uid}"),
        format!("--regid={gid}"),
        "--clear-groups".to_owned(),
        "--inh-caps=+dac_override".to_owned(),
        "--ambient-caps=+dac_override".to_owned(),
        "--".to_owned(),
    ])
}
