//! Processes that do not outlive the program that wants them.
//!
//! A server is not started directly but under a supervisor: this program again, as `supervise`, whose standard input is a
//! pipe from the program that wants the server. When that pipe closes, for whatever reason, the supervisor stops the server
//! and removes its folder.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cargo::{this_program, without_cargo_variables};
use crate::folders::workspace;

/// How long a server may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// The exit code of a killed command is this plus the signal, as in shells.
const SIGNALLED: i32 = 128;

/// A process under a supervisor. Dropping it stops the process and waits for its end.
#[derive(Debug)]
pub struct Supervised {
    supervisor: Child,
    name: &'static str,
    log: Option<PathBuf>,
}

impl Supervised {
    /// Starts a command under a supervisor; its output goes to `log`. `signal` asks it to stop, `INT` or `TERM`; `remove`
    /// is deleted after its end.
    ///
    /// # Errors
    /// The supervisor cannot be started.
    pub fn start(
        name: &'static str,
        command: &[OsString],
        signal: &str,
        log: &Path,
        remove: Option<&Path>,
    ) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let also = file.try_clone().context("cannot share a log file")?;
        let mut supervisor = Command::new(this_program()?);
        supervisor.arg("supervise").arg("--signal").arg(signal);
        if let Some(remove) = remove {
            supervisor.arg("--remove").arg(remove);
        }
        supervisor.arg("--").args(command).stdout(file).stderr(also);
        Ok(Self { supervisor: spawn(supervisor, name)?, name, log: Some(log.to_owned()) })
    }

    /// Starts a command with further variables in its environment; its output goes where ours does.
    ///
    /// # Errors
    /// The supervisor cannot be started.
    pub(crate) fn in_terminal(
        name: &'static str,
        command: &[OsString],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut supervisor = Command::new(this_program()?);
        supervisor.args(["supervise", "--signal", "TERM", "--"]).args(command);
        supervisor.envs(environment.iter().copied()).current_dir(workspace());
        without_cargo_variables(&mut supervisor);
        Ok(Self { supervisor: spawn(supervisor, name)?, name, log: None })
    }

    /// Returns the file that its output goes to, unless that is the terminal.
    pub(crate) fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Says in one line why the process has ended; `None` while it runs.
    pub fn exit_reason(&mut self) -> Option<Error> {
        let status = self.supervisor.try_wait().ok()??;
        let signal = status.signal().or_else(|| status.code()?.checked_sub(SIGNALLED)).filter(|n| *n > 0);
        let (name, log) = (self.name, self.log.as_deref());
        let see = log.map(|log| format!(" (see {})", log.display())).unwrap_or_default();
        Some(match signal {
            // The log ends before the kill, and says nothing about it.
            Some(signal) => anyhow!("{name} was killed by signal {signal}{see}"),
            None => {
                let said = log.map(|log| format!(": {}", last_line(log))).unwrap_or_default();
                anyhow!("{name} has stopped ({status}){said}{see}")
            }
        })
    }

    /// Waits until `ready` returns true.
    ///
    /// # Errors
    /// The process ends before, or it takes more than half a minute.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready() {
            if let Some(reason) = self.exit_reason() {
                return Err(reason);
            }
            if Instant::now() > deadline {
                bail!("{} did not become ready within half a minute", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Returns the process id of the supervised process, for tests that stop or kill it.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<u32> {
        let output = Command::new("pgrep").arg("-P").arg(self.supervisor.id().to_string()).output();
        let output = output.context("cannot run pgrep")?;
        let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
        pid.map_err(|_| anyhow!("{} does not run", self.name))
    }
}

/// Starts a supervisor in a process group of its own, so that Ctrl-C in the terminal reaches only the program that wants
/// the server, which then stops it.
fn spawn(mut supervisor: Command, name: &str) -> Result<Child> {
    let supervisor = supervisor.stdin(Stdio::piped()).process_group(0).spawn();
    supervisor.with_context(|| format!("cannot start {name}"))
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // Nothing is left to do if even waiting fails.
        let _ = self.supervisor.wait();
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing").to_owned()
}

/// Runs a command until it ends or standard input does; then stops it. The body of the hidden subcommand `supervise`.
///
/// # Errors
/// The command cannot be started.
pub fn supervise(signal: &str, remove: Option<&Path>, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("supervise: nothing to run")?;
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot run {}", Path::new(program).display()))?;
    let abandoned = watch_stdin();
    let mut stopping: Option<Instant> = None;
    let status = loop {
        if let Ok(Some(status)) = child.try_wait() {
            break Some(status);
        }
        match stopping {
            None if abandoned.recv_timeout(Duration::from_millis(20)).is_ok() => {
                stopping = Some(Instant::now());
                send(&child, if signal == "INT" { Signal::INT } else { Signal::TERM });
            }
            Some(since) if since.elapsed() > GRACE => {
                send(&child, Signal::KILL);
                break child.wait().ok();
            }
            _ => std::thread::sleep(Duration::from_millis(if stopping.is_some() { 5 } else { 0 })),
        }
    };
    if let Some(remove) = remove {
        // What cannot be removed now is in a temporary folder.
        let _ = std::fs::remove_dir_all(remove);
    }
    Ok(exit_code(status))
}

/// Sends one message when standard input has ended.
fn watch_stdin() -> mpsc::Receiver<()> {
    let (ended, abandoned) = mpsc::channel();
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while matches!(std::io::stdin().read(&mut nothing), Ok(n) if n > 0) {}
        // The receiver goes only with the process.
        let _ = ended.send(());
        std::thread::park();
    });
    abandoned
}

fn send(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// Passes the command's exit code on, a signal as shells do.
fn exit_code(status: Option<ExitStatus>) -> ExitCode {
    let code = status.and_then(|status| status.code().or_else(|| Some(SIGNALLED + status.signal()?)));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Builds a command line from its parts.
pub(crate) fn command_line<S: AsRef<OsStr>>(parts: impl IntoIterator<Item = S>) -> Vec<OsString> {
    parts.into_iter().map(|part| part.as_ref().to_owned()).collect()
}
