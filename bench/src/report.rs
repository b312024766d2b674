//! What a run leaves behind: a table on the terminal, rows for machines, a page for people.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use conversation_local::workspace;

use crate::measure::Outcome;
use crate::plot::Plot;
use crate::row::{Row, figure};

/// What came of a part of a run.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    pub(crate) plots: Vec<Plot>,
}

impl From<Vec<Row>> for Found {
    fn from(rows: Vec<Row>) -> Self {
        Self { rows, plots: Vec::new() }
    }
}

/// What was measured, on what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The processors of the machine, and how many it has.
    pub(crate) machine: String,
    /// Of Postgres and Valkey.
    pub(crate) versions: (String, String),
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) plots: Vec<Plot>,
}

impl Run {
    /// Reads one that was kept.
    pub(crate) fn read(file: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Adds what an earlier run measured and this one did not.
    pub(crate) fn beside(mut self, earlier: Self) -> Self {
        let (rows, plots) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.plots));
        self.rows = earlier.rows;
        self.plots = earlier.plots;
        for row in rows {
            match self.rows.iter_mut().find(|kept| kept.name == row.name) {
                Some(kept) => *kept = row,
                None => self.rows.push(row),
            }
        }
        for plot in plots {
            self.plots.retain(|kept| kept.title != plot.title);
            self.plots.push(plot);
        }
        self
    }

    /// Keeps it.
    pub(crate) fn keep(&self, file: &Path) -> Outcome<()> {
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// One line for each row.
    pub(crate) fn lines(rows: &[Row]) -> String {
        let mut text = String::new();
        for row in rows {
            let theirs = row.theirs.map(|theirs| format!(" / {}", figure(theirs))).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<4} {:<92} {:>10}  {:<12} {}{theirs} {}",
                verdict(row),
                row.name,
                row.reached(),
                row.wanted(),
                figure(row.ours),
                row.unit,
            );
            if row.rounds.len() > 1 {
                let _ = writeln!(text, "       rounds: {}", rounds(row));
            }
        }
        text
    }

    /// Whether every row of the page as it is was measured by this run or an earlier one that it knows.
    pub(crate) fn is_as_much_as_the_page(&self) -> Outcome<bool> {
        let page = std::fs::read_to_string(workspace().join("docs/performance.md"))?;
        let named = |line: &str| self.rows.iter().any(|row| line.starts_with(&format!("| {} |", row.name)));
        let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| what |");
        Ok(page.lines().filter(is_row).all(named))
    }

    /// The page.
    pub(crate) fn page(&self) -> Outcome<()> {
        let docs = workspace().join("docs");
        let plots = docs.join("performance");
        std::fs::create_dir_all(&plots)?;
        let mut text = HEAD.to_owned();
        let (postgres, valkey) = &self.versions;
        let _ = write!(
            text,
            "Measured on {} with PostgreSQL {postgres} and Valkey {valkey}, {} rounds.\n\n\
            | what | ours | theirs | reached | to reach | |\n|---|---:|---:|---:|---:|---|\n",
            self.machine, self.rounds
        );
        for row in &self.rows {
            let theirs = row.theirs.map(figure).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} {} | {theirs} | {} | {} | {} |",
                row.name,
                figure(row.ours),
                row.unit,
                row.reached(),
                row.wanted(),
                verdict(row)
            );
        }
        text.push('\n');
        for plot in &self.plots {
            plot.draw(&plots)?;
            let _ = writeln!(text, "![{}](performance/{})\n", plot.title, plot.file());
        }
        std::fs::write(docs.join("performance.md"), text.trim_end().to_owned() + "\n")?;
        Ok(())
    }
}

const HEAD: &str = "# Performance

`make bench` measures these figures and writes this page; `make bench-compare` compares its last run with the figures in
`bench/baseline.json`. Figures of one machine say little about another one, so each is a ratio to something that does the same work
and is measured alternately with it, in the same run, on the same private servers. The table has the median of the rounds' ratios;
`target/bench.json` has every round.

Every caller has its own connections, as every instance of a function has, and sends its next request as soon as it has a response.
Messages have 512 bytes. Postgres does not wait for the disk, neither for the store nor for pgbench, so the figures measure work and not a disk.

";

fn verdict(row: &Row) -> &'static str {
    match row.met {
        Some(true) => "met",
        Some(false) => "NOT",
        None => "",
    }
}

fn rounds(row: &Row) -> String {
    let round = |(ours, theirs): &(f64, Option<f64>)| match theirs {
        Some(theirs) => format!("{}/{}", figure(*ours), figure(*theirs)),
        None => figure(*ours),
    };
    row.rounds.iter().map(round).collect::<Vec<_>>().join("  ")
}

/// The machine's processors.
pub(crate) fn machine() -> String {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!("{count} x {}", model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()))
}
