//! Python packages, pinned in files of this checkout and installed into folders of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{subfolders, workspace};
use crate::{Outcome, Trouble};

/// Wheels that are pinned in a file, and the virtual environment inside the checkout that they are installed into.
#[derive(Clone, Copy, Debug)]
pub struct Wheels {
    folder: &'static str,
    file: &'static str,
    requirements: &'static str,
    /// Why they could not be installed.
    trouble: &'static str,
}

/// AWS's own emulator of the Runtime API, a program for Linux, installed first if it is missing.
///
/// # Errors
/// As [`Wheels::python`].
pub fn lambda_emulator() -> Outcome<PathBuf> {
    let venv = Wheels::TESTS.ready()?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let inside = format!("site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}");
    let programs = subfolders(&venv.join("lib")).into_iter().map(|python| python.join(&inside));
    let missing =
        || Trouble::new(format!("aws-lambda-rie is missing: remove {} and try again", venv.display()));
    programs.into_iter().find(|program| program.is_file()).ok_or_else(missing)
}

impl Wheels {
    /// PostgreSQL, Valkey and cargo-lambda.
    pub(crate) const SERVERS: Self = Self {
        folder: ".venv",
        file: "local/requirements.txt",
        requirements: include_str!("../requirements.txt"),
        trouble: "the wheels with PostgreSQL, Valkey and cargo-lambda cannot be installed; they exist for Linux (x86_64, aarch64) and macOS (arm64), Python 3.10 to 3.14",
    };

    /// What tests and benches use of Python: other people's clients and stores, and AWS's emulator and signatures.
    pub const TESTS: Self = Self {
        folder: ".venv-tests",
        file: "tests/requirements.txt",
        requirements: include_str!("../../tests/requirements.txt"),
        trouble: "the Python packages that the tests use cannot be installed",
    };

    /// A Python that has them, installing them first if they are missing or of another version.
    ///
    /// # Errors
    /// As [`Tools`](crate::Tools::ready).
    pub fn python(&self) -> Outcome<PathBuf> {
        Ok(self.ready()?.join("bin/python"))
    }

    /// The folder, with the wheels inside. Of several processes that want it one makes it, the others wait.
    pub(crate) fn ready(&self) -> Outcome<PathBuf> {
        let venv = workspace().join(self.folder);
        if self.are_in(&venv) {
            return Ok(venv);
        }
        let cannot =
            |error: std::io::Error| Trouble::because(&format!("cannot set up {}", venv.display()), &error);
        std::fs::create_dir_all(&venv).map_err(cannot)?;
        let lock = File::create(venv.join("lock")).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        if !self.are_in(&venv) {
            self.install(&venv)?;
            std::fs::write(stamp(&venv), self.requirements).map_err(cannot)?;
        }
        Ok(venv)
    }

    fn are_in(&self, venv: &Path) -> bool {
        std::fs::read_to_string(stamp(venv)).is_ok_and(|installed| installed == self.requirements)
    }

    fn install(&self, venv: &Path) -> Outcome<()> {
        let hint = "install it with your system's package manager (Debian and Ubuntu: python3-venv)";
        step(
            Command::new(python()?).args(["-m", "venv"]).arg(venv),
            &format!("Python cannot make a virtual environment; {hint}"),
        )?;
        let mut install = Command::new(venv.join("bin/python"));
        // Each list is complete, or of programs alone.
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install.args(["--no-deps", "--only-binary=:all:", "-r"]).arg(workspace().join(self.file));
        step(&mut install, self.trouble)
    }
}

/// What says which wheels were installed.
fn stamp(venv: &Path) -> PathBuf {
    venv.join("requirements.installed")
}

/// A Python that will do.
fn python() -> Outcome<&'static str> {
    let check = "import sys; sys.exit(sys.version_info < (3, 10))";
    let will_do = |name: &&str| {
        Command::new(name).args(["-c", check]).output().is_ok_and(|output| output.status.success())
    };
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"]
        .into_iter()
        .find(will_do)
        .ok_or_else(|| Trouble::new("Python 3.10 or newer is needed and was not found: install python3"))
}

fn step(command: &mut Command, trouble: &str) -> Outcome<()> {
    let output = command.output().map_err(|error| Trouble::because(trouble, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(Trouble::new(format!("{trouble}: {last}")))
}
