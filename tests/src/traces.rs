//! Whether a word stands in what the stores and the log keep, as a backup would have it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use conversation_local::Tools;
use redis::aio::MultiplexedConnection;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::Broken;

/// The tables of which `pg_dump` shows the word, as text or as bytes, but for one in which a test notes what it saw.
///
/// # Errors
/// `pg_dump` fails.
pub fn in_postgres(tools: &Tools, database_url: &str, word: &str, but: &str) -> Result<Vec<String>, Broken> {
    let mut pg_dump = Command::new(tools.postgres.join("pg_dump"));
    let output = pg_dump.args(["--data-only", "--exclude-table", but, database_url]).output()?;
    if !output.status.success() {
        return Err(format!("pg_dump: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    // Bytes are shown as hexadecimal digits.
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (mut found, mut table) = (Vec::new(), "");
    let dump = String::from_utf8_lossy(&output.stdout);
    for line in dump.lines() {
        if let Some(copied) = line.strip_prefix("COPY ") {
            table = copied.split(' ').next().unwrap_or_default();
        }
        if (line.contains(word) || line.contains(&hex)) && found.last().is_none_or(|last| last != table) {
            found.push(table.to_owned());
        }
    }
    Ok(found)
}

/// The keys in whose name, or in whose value as the server would save it, the word stands.
///
/// # Errors
/// The server refuses to show them.
pub async fn in_redis(redis: &mut MultiplexedConnection, word: &str) -> Result<Vec<String>, Broken> {
    // A word that is compressed is not found.
    redis::cmd("CONFIG").arg("SET").arg("rdbcompression").arg("no").exec_async(redis).await?;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(redis).await?;
    let mut found = Vec::new();
    for key in keys {
        // None: it has expired meanwhile.
        let value: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(redis).await?;
        let stands = |value: Vec<u8>| value.windows(word.len()).any(|part| part == word.as_bytes());
        if key.contains(word) || value.is_some_and(stands) {
            found.push(key);
        }
    }
    Ok(found)
}

/// The lines of a file in which the word stands.
///
/// # Errors
/// The file cannot be read.
pub fn in_file(file: &Path, word: &str) -> Result<Vec<String>, Broken> {
    let mut found = Vec::new();
    for line in BufReader::new(File::open(file)?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if line.contains(word) {
            found.push(line);
        }
    }
    Ok(found)
}

/// What this process logs from now on, as the functions do at the level `trace`.
///
/// # Errors
/// Somebody else listens to the log already.
pub fn start_log() -> Result<&'static Log, Broken> {
    static LOG: OnceLock<Log> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(log) = LOG.get() {
        return Ok(log);
    }
    let log = Log(Arc::new(tempfile::tempfile()?));
    let filter = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("conversation_core", LevelFilter::TRACE)
        .with_target("conversation_functions", LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer().json().with_writer(Arc::clone(&log.0));
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(LOG.get_or_init(|| log))
}

/// A file of lines that were logged.
#[derive(Debug)]
pub struct Log(Arc<File>);

impl Log {
    /// The lines in which a word stands.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines_with(&self, word: &str) -> Result<Vec<String>, Broken> {
        // Whoever logs goes on meanwhile, at the end of the file.
        let mut bytes = vec![0; usize::try_from(self.0.metadata()?.len())?];
        self.0.read_exact_at(&mut bytes, 0)?;
        let log = String::from_utf8_lossy(&bytes);
        Ok(log.lines().filter(|line| line.contains(word)).map(str::to_owned).collect())
    }
}
