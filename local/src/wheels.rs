//! Python packages, pinned in files of this checkout and installed into folders of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::folders::{subfolders, workspace};

/// Wheels that are pinned in a file, and the virtual environment inside the checkout that they are installed into.
#[derive(Clone, Copy, Debug)]
pub struct Wheels {
    folder: &'static str,
    file: &'static str,
    requirements: &'static str,
    /// The message when they cannot be installed.
    failure: &'static str,
}

/// Finds AWS's own emulator of the Runtime API, a program for Linux, and installs it first if it is missing.
///
/// # Errors
/// As [`Wheels::python`].
pub fn lambda_emulator() -> Result<PathBuf> {
    let venv = Wheels::TESTS.ready()?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let inside = format!("site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}");
    let programs = subfolders(&venv.join("lib")).into_iter().map(|python| python.join(&inside));
    let missing = || format!("aws-lambda-rie is missing: remove {} and try again", venv.display());
    programs.into_iter().find(|program| program.is_file()).with_context(missing)
}

impl Wheels {
    /// PostgreSQL, Valkey and cargo-lambda.
    pub(crate) const SERVERS: Self = Self {
        folder: ".venv",
        file: "local/requirements.txt",
        requirements: include_str!("../requirements.txt"),
        failure: "the wheels with PostgreSQL, Valkey and cargo-lambda cannot be installed; they exist for Linux (x86_64, aarch64) and macOS (arm64), Python 3.10 to 3.14",
    };

    /// What tests and benches use of Python: other people's clients and stores, and AWS's emulator and signatures.
    pub const TESTS: Self = Self {
        folder: ".venv-tests",
        file: "tests/requirements.txt",
        requirements: include_str!("../../tests/requirements.txt"),
        failure: "the Python packages that the tests use cannot be installed",
    };

    /// What the Python client is tested with: the frameworks that it has adapters for.
    pub const CLIENTS: Self = Self {
        folder: ".venv-clients",
        file: "clients/python/tests/requirements.txt",
        requirements: include_str!("../../clients/python/tests/requirements.txt"),
        failure: "the Python packages that the client is tested with cannot be installed",
    };

    /// Finds a Python that has them, and installs them first if they are missing or of another version.
    ///
    /// # Errors
    /// There is no Python 3.10 or newer with `venv`, or the wheels cannot be installed.
    pub fn python(&self) -> Result<PathBuf> {
        Ok(self.ready()?.join("bin/python"))
    }

    /// Returns the folder with the wheels inside. Of several processes that want it one makes it, the others wait.
    pub(crate) fn ready(&self) -> Result<PathBuf> {
        let venv = workspace().join(self.folder);
        if self.are_in(&venv) {
            return Ok(venv);
        }
        let cannot = || format!("cannot set up {}", venv.display());
        std::fs::create_dir_all(&venv).with_context(cannot)?;
        let lock = File::create(venv.join("lock")).with_context(cannot)?;
        lock.lock().with_context(cannot)?;
        if !self.are_in(&venv) {
            self.install(&venv)?;
            std::fs::write(stamp(&venv), self.requirements).with_context(cannot)?;
        }
        Ok(venv)
    }

    fn are_in(&self, venv: &Path) -> bool {
        std::fs::read_to_string(stamp(venv)).is_ok_and(|installed| installed == self.requirements)
    }

    fn install(&self, venv: &Path) -> Result<()> {
        step(
            Command::new(python()?).args(["-m", "venv"]).arg(venv),
            "Python cannot make a virtual environment; install what it lacks with your system's package manager \
             (Debian and Ubuntu: python3-venv)",
        )?;
        let mut install = Command::new(venv.join("bin/python"));
        // Each list is complete, or of programs alone. Most modules are never imported: Python compiles those that are.
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]);
        install.args(["--no-deps", "--only-binary=:all:", "-r"]).arg(workspace().join(self.file));
        step(&mut install, self.failure)
    }
}

/// Returns the file that says which wheels were installed.
fn stamp(venv: &Path) -> PathBuf {
    venv.join("requirements.installed")
}

/// Finds a Python that is new enough.
fn python() -> Result<&'static str> {
    let check = "import sys; sys.exit(sys.version_info < (3, 10))";
    let will_do = |name: &&str| {
        Command::new(name).args(["-c", check]).output().is_ok_and(|output| output.status.success())
    };
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"]
        .into_iter()
        .find(will_do)
        .context("Python 3.10 or newer is needed and was not found: install python3")
}

fn step(command: &mut Command, failure: &'static str) -> Result<()> {
    let output = command.output().context(failure)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    bail!("{failure}: {last}")
}
