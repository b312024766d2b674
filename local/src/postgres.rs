//! A Postgres server of one's own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guard::{Guarded, command_line};
use crate::{Outcome, Tools, Trouble, on_free_port, random_password};

/// A running server on a port of 127.0.0.1, stopped when dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Guarded,
    port: u16,
    password: String,
}

/// What the server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Data is kept, and safe against a crash.
    Keep,
    /// Data is thrown away, so that nothing waits for the disk.
    Throwaway,
}

impl Postgres {
    /// Starts a server whose data stays in `folder`.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn keep(tools: &Tools, folder: &Path) -> Outcome<Self> {
        Self::start(tools, folder, Purpose::Keep, &[])
    }

    /// Starts a server whose data goes with it.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn throwaway(tools: &Tools) -> Outcome<Self> {
        Self::throwaway_with(tools, &[])
    }

    /// The same, with further settings, each as `name=value`.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub fn throwaway_with(tools: &Tools, more: &[&str]) -> Outcome<Self> {
        // The guard removes the folder of an attempt that fails, so that the next one needs another.
        let start = || Self::start(tools, &temporary_folder("postgres")?, Purpose::Throwaway, more);
        start().or_else(|_| start())
    }

    fn start(tools: &Tools, folder: &Path, purpose: Purpose, more: &[&str]) -> Outcome<Self> {
        let cannot =
            |error: std::io::Error| Trouble::because(&format!("cannot use {}", folder.display()), &error);
        fs::create_dir_all(folder).map_err(cannot)?;
        let user = User::to_become()?;
        let data = folder.join("data");
        let password = if data.join("PG_VERSION").is_file() {
            fs::read_to_string(folder.join("password")).map_err(cannot)?
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
                Guarded::start("PostgreSQL", &command, "INT", &folder.join("postgres.log"), remove)?;
            process.wait_until(|| is_ready(tools, port))?;
            Ok(Self { process, port, password: password.clone() })
        })
    }

    /// Makes a database unless it is there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create_database(&self, tools: &Tools, name: &str) -> Outcome<()> {
        let output = Command::new(tools.postgres.join("createdb"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), name])
            .env("PGPASSWORD", &self.password)
            .output();
        let output = output.map_err(|error| Trouble::because("cannot run createdb", &error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || said.contains("already exists") {
            return Ok(());
        }
        Err(Trouble::new(format!("the database {name} cannot be made: {}", said.trim())))
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of its superuser, `postgres`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where a database of it is.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
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

/// Makes a new cluster, with a password of its own: others on this machine can reach its port.
fn initialise(
    tools: &Tools,
    folder: &Path,
    data: &Path,
    user: Option<&User>,
    purpose: Purpose,
) -> Outcome<String> {
    let cannot =
        |error: std::io::Error| Trouble::because(&format!("cannot use {}", folder.display()), &error);
    // What an interrupted attempt left behind.
    if data.exists() {
        fs::remove_dir_all(data).map_err(cannot)?;
    }
    fs::create_dir(data).map_err(cannot)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
    let password = random_password();
    let password_file = folder.join("password");
    fs::write(&password_file, &password).map_err(cannot)?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    if let Some(user) = user {
        for path in [data, &password_file] {
            chown(path, Some(user.uid), Some(user.gid)).map_err(cannot)?;
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
    let (program, arguments) = command.split_first().ok_or_else(|| Trouble::new("initdb: nothing to run"))?;
    let output = Command::new(program).args(arguments).current_dir("/").output();
    let output = output.map_err(|error| Trouble::because("cannot run initdb", &error))?;
    if output.status.success() {
        return Ok(password);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().find(|line| line.contains("error")).or(said.lines().last()).unwrap_or_default();
    Err(Trouble::new(format!("PostgreSQL cannot make a database in {}: {reason}", data.display())))
}

fn is_ready(tools: &Tools, port: u16) -> bool {
    let mut command = Command::new(tools.postgres.join("pg_isready"));
    command
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

/// Postgres refuses to run as root, so root runs it as somebody else.
#[derive(Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Somebody harmless, if we are root.
    fn to_become() -> Outcome<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, "nobody"]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        match (id("-u"), id("-g")) {
            (Some(uid), Some(gid)) => Ok(Some(Self { uid, gid })),
            _ => {
                Err(Trouble::new("PostgreSQL does not run as root, and there is no user nobody to run it as"))
            }
        }
    }
}

/// What to put before a command that another user is to run. The checkout may lie in a folder that only root can
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

/// A new folder for things that go away again.
pub(crate) fn temporary_folder(name: &str) -> Outcome<PathBuf> {
    let folder = std::env::temp_dir().join(format!("conversation-{name}-{}", uuid::Uuid::now_v7().simple()));
    let cannot =
        |error: std::io::Error| Trouble::because(&format!("cannot make {}", folder.display()), &error);
    fs::create_dir(&folder).map_err(cannot)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).map_err(cannot)?;
    Ok(folder)
}
