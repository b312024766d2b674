//! Processes that do not outlive the one that wants them.
//!
//! A server is not started directly but under a guard: this program again, as `guard`, whose standard input is a pipe
//! from the one that wants the server. When that pipe closes, for whatever reason, the guard stops the server and
//! removes what is to be removed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Outcome, Trouble};

/// How long a server may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A guarded process. Dropping it stops the process and waits for its end.
#[derive(Debug)]
pub struct Guarded {
    guard: Child,
    name: &'static str,
    log: Option<PathBuf>,
}

impl Guarded {
    /// Starts a command under a guard; its output goes to `log`. `signal` asks it to stop, `INT` or `TERM`; `remove`
    /// is deleted after its end.
    ///
    /// # Errors
    /// The guard cannot be started.
    pub fn start(
        name: &'static str,
        command: &[OsString],
        signal: &str,
        log: &Path,
        remove: Option<&Path>,
    ) -> Outcome<Self> {
        let file = File::create(log)
            .map_err(|error| Trouble::because(&format!("cannot write {}", log.display()), &error))?;
        let also = file.try_clone().map_err(|error| Trouble::because("cannot share a log file", &error))?;
        let mut guard = Command::new(crate::tools::this_program()?);
        guard.arg("guard").arg("--signal").arg(signal);
        if let Some(remove) = remove {
            guard.arg("--remove").arg(remove);
        }
        guard.arg("--").args(command).stdout(file).stderr(also);
        Ok(Self { guard: watched(guard, name)?, name, log: Some(log.to_owned()) })
    }

    /// The same, with an environment of its own, and with output that goes where ours does.
    ///
    /// # Errors
    /// The guard cannot be started.
    pub(crate) fn in_terminal(
        name: &'static str,
        command: &[OsString],
        environment: &[(&str, &str)],
    ) -> Outcome<Self> {
        let mut guard = Command::new(crate::tools::this_program()?);
        guard.args(["guard", "--signal", "TERM", "--"]).args(command).envs(environment.iter().copied());
        guard.current_dir(crate::workspace());
        crate::tools::without_cargo_variables(&mut guard);
        Ok(Self { guard: watched(guard, name)?, name, log: None })
    }

    /// Why it does not run any more; none while it does.
    pub fn trouble(&mut self) -> Option<Trouble> {
        let status = self.guard.try_wait().ok()??;
        let said = self.log.as_deref().map(|log| format!(": {} (see {})", last_line(log), log.display()));
        Some(Trouble(format!("{} has stopped ({status}){}", self.name, said.unwrap_or_default())))
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// The process ends before, or it takes more than half a minute.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready() {
            if let Some(trouble) = self.trouble() {
                return Err(trouble);
            }
            if Instant::now() > deadline {
                return Err(Trouble(format!("{} did not become ready within half a minute", self.name)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The process id of the guarded process, for tests that stop or kill it.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Outcome<u32> {
        let output = Command::new("pgrep").arg("-P").arg(self.guard.id().to_string()).output();
        let output = output.map_err(|error| Trouble::because("cannot run pgrep", &error))?;
        let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
        pid.map_err(|_| Trouble(format!("{} does not run", self.name)))
    }
}

/// Starts a guard. It gets a process group of its own: Ctrl-C in the terminal is for the one who wants the server, who
/// then stops it.
fn watched(mut guard: Command, name: &str) -> Outcome<Child> {
    let guard = guard.stdin(Stdio::piped()).process_group(0).spawn();
    guard.map_err(|error| Trouble::because(&format!("cannot start {name}"), &error))
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Nothing is left to do if even waiting fails.
        let _ = self.guard.wait();
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

/// Runs a command until it ends or standard input does; then stops it. The body of the hidden `guard` subcommand.
///
/// # Errors
/// The command cannot be started.
pub fn guard(signal: &str, remove: Option<&Path>, command: &[OsString]) -> Outcome<ExitCode> {
    let (program, arguments) = command.split_first().ok_or_else(|| Trouble::new("guard: nothing to run"))?;
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::null()).spawn().map_err(|error| {
            Trouble::because(&format!("cannot run {}", Path::new(program).display()), &error)
        })?;
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

/// Tells once that standard input has ended.
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

fn exit_code(status: Option<ExitStatus>) -> ExitCode {
    let code = status.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

/// A command line from its parts.
pub(crate) fn command_line<S: AsRef<OsStr>>(parts: impl IntoIterator<Item = S>) -> Vec<OsString> {
    parts.into_iter().map(|part| part.as_ref().to_owned()).collect()
}
