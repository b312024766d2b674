//! Programs that a test may need and a machine may lack.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fail;

/// Where a program is. None: it is nowhere, and the test is to be skipped, which has been said.
pub fn installed(name: &str) -> Option<PathBuf> {
    let output = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output();
    let path = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let path = path.unwrap_or_else(|error| fail(&error));
    if path.is_empty() {
        skipped(&format!("{name} is not installed"));
        return None;
    }
    Some(path.into())
}

/// A file below a folder, by how its path ends; none: it is not there, and the test is to be skipped, which has been said.
/// Where `CI` is set that fails it, as it does everywhere with what is missing, unless only a build that takes long makes
/// the file.
pub fn made(folder: &Path, ending: &str, maker: &str, takes_long: bool) -> Option<PathBuf> {
    let found = Command::new("find").arg("-L").arg(folder).args(["-path", &format!("*/{ending}")]).output();
    let found = found.unwrap_or_else(|error| fail(&error));
    let path = String::from_utf8_lossy(&found.stdout).lines().next().map(PathBuf::from);
    if path.is_none() {
        let reason = format!("{ending} is missing, which {maker} makes");
        if takes_long { say_skipped(&reason) } else { skipped(&reason) }
    }
    path
}

/// Says that the test is not run, past libtest, which would keep it to itself. Where `CI` is set that fails it.
#[expect(clippy::disallowed_methods, reason = "this is no setting of the store's")]
pub(crate) fn skipped(reason: &str) {
    if std::env::var("CI").is_ok_and(|ci| !ci.is_empty()) {
        fail(&reason);
    }
    say_skipped(reason);
}

fn say_skipped(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // On a line of its own, whatever stands on this one.
    let said = writeln!(std::io::stdout(), "\nskipped: {test}: {reason}");
    said.unwrap_or_else(|error| fail(&error));
}
