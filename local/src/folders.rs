//! Folders of the checkout, and temporary ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Returns the folder of the workspace.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Lists the folders in a folder; none if it cannot be read.
pub(crate) fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Makes a new folder in the system's temporary one. Other users may pass through it: Postgres runs as one of them.
pub(crate) fn temporary_folder(name: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("conversation-{name}-{}", uuid::Uuid::now_v7().simple()));
    let made = fs::create_dir(&folder)
        .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)));
    made.with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Lists the names of all functions: the programs of the crate `functions`.
///
/// # Errors
/// Their sources cannot be read.
pub fn function_names() -> Result<Vec<String>> {
    let folder = workspace().join("functions/src/bin");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}
