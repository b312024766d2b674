//! Embeds the stored functions, and has the crate built again when SQL changes: `sqlx::migrate!` alone does not notice a new
//! file.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through the environment")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    for folder in ["migrations", "sql"] {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
    }
    let mut files: Vec<_> =
        fs::read_dir(root.join("sql"))?.map(|file| file.map(|file| file.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let functions = files.iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?.join("\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("functions.sql"), functions)?;
    Ok(())
}
