//! The workspace's own programs, as cargo builds them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::folders::workspace;

/// Finds the program that this crate builds. Tests, which are other programs, find it in a folder above their own.
pub(crate) fn this_program() -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find this program")?;
    let name = "conversation-local";
    if here.file_name().is_some_and(|file| file == name) {
        return Ok(here);
    }
    let program = here.ancestors().skip(1).map(|folder| folder.join(name)).find(|program| program.is_file());
    program.ok_or_else(|| anyhow!("{name} is not built: run cargo build --workspace --bins"))
}

/// Builds all programs of the workspace. All at once, since a part of the workspace by itself is built with other features,
/// and so built again.
///
/// # Errors
/// They do not build; cargo has printed why.
pub fn build() -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(workspace());
    without_cargo_variables(&mut cargo);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "building the functions failed (see cargo's output above)");
    Ok(())
}

/// Removes the variables that cargo sets for programs that it runs. They would make a nested cargo run build scripts
/// again that depend on them; and `cargo lambda` would run that very cargo past rustup, which then takes the compiler that each
/// dependency names in a `rust-toolchain.toml` of its own.
#[expect(clippy::disallowed_methods, reason = "these are cargo's variables, no settings")]
pub fn without_cargo_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let set = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if name == "CARGO" || set.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}
