//! `cargo lambda watch`, at a port that no page in a browser reaches.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context as _, Error, Result};

use crate::supervisor::{Supervised, command_line};

/// Ports that no browser opens, whatever page asks it to: some of the "bad ports" of the Fetch standard. `cargo lambda
/// watch` lets everybody who reaches it invoke any function with any event, and does not check where a request comes from.
const CLOSED_TO_BROWSERS: [u16; 18] = [
    6_666, 6_667, 6_668, 6_669, 6_665, 6_697, 6_000, 6_566, 5_060, 5_061, 4_045, 4_190, 3_659, 2_049, 1_719,
    1_720, 1_723, 10_080,
];

/// A running `cargo lambda watch`.
#[derive(Debug)]
pub(crate) struct Watch {
    process: Supervised,
    port: u16,
    _claim: File,
}

impl Watch {
    /// Starts `cargo lambda watch` with further variables in its environment.
    ///
    /// # Errors
    /// None of its ports is free, or it cannot be started.
    pub(crate) fn start(cargo_lambda: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let port = CLOSED_TO_BROWSERS.into_iter().find_map(|port| Some((port, claim(port)?)));
        let (port, claim) = port.with_context(|| {
            format!(
                "all of the ports {CLOSED_TO_BROWSERS:?} of 127.0.0.1 are in use, and one of them is needed"
            )
        })?;
        let mut command = command_line([cargo_lambda]);
        command.extend(command_line(["lambda", "watch", "--quiet", "--disable-cors", "--concurrency", "4"]));
        // What is built then, is what has been built with the workspace.
        command.extend(command_line(["--features", "watch"]));
        command.extend(command_line(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]));
        let process = Supervised::in_terminal("cargo lambda watch", &command, environment)?;
        Ok(Self { process, port, _claim: claim })
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Says in one line why it has ended; `None` while it runs.
    pub(crate) fn exit_reason(&mut self) -> Option<Error> {
        self.process.exit_reason()
    }
}

/// Claims a free port for as long as the file is open: `cargo lambda watch` opens it only after a while, and another run must
/// not take it meanwhile.
fn claim(port: u16) -> Option<File> {
    let claim = File::create(std::env::temp_dir().join(format!("conversation-local-{port}"))).ok()?;
    claim.try_lock().ok()?;
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(claim)
}
