//! A check whether a process can still do work.

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// The signal KILL in the masks that Linux shows.
const KILL: u64 = 1 << 8;

/// Asks the kernel whether a child of this process runs: the host learns only later that one was killed.
pub(super) fn runs(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(pid), options), Ok(None)) && !is_killed(pid)
}

/// Reads from Linux whether a process was killed and has not ended yet.
fn is_killed(pid: Pid) -> bool {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & KILL != 0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_killed_process_does_not_run() {
        for _ in 0..20 {
            let mut child = Command::new("sleep").arg("60").spawn().unwrap();
            let pid = Pid::from_child(&child);
            assert!(runs(pid));
            child.kill().unwrap();
            assert!(!cfg!(target_os = "linux") || !runs(pid), "killed, and perhaps not dead yet");
            child.wait().unwrap();
            assert!(!runs(pid));
        }
    }
}
