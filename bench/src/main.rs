//! Measures the conversation store: each figure against something that does the same work, in turn, in the same run.

mod add;
mod cold;
mod erasure;
mod front;
mod functions;
mod hit;
mod load;
mod measure;
mod memory;
mod peers;
mod plot;
mod programs;
mod records;
mod report;
mod row;
mod scale;
mod simulation;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use conversation_local::workspace;

use measure::{Outcome, say};
use report::{Found, Run};
use stage::{Settings, Stage};

/// How much worse a figure may be than the one that is kept.
const TOLERANCE: f64 = 0.1;

/// Measures the conversation store.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and writes target/bench.json and docs/performance.md; what is not measured stays in both as it was.
    Run {
        /// Parts to measure, separated by commas; all of them if none is named.
        #[arg(long, env = "ONLY", default_value = "", hide_default_value = true)]
        only: String,
        /// How often each pair is measured.
        #[arg(long, env = "ROUNDS", default_value_t = 5)]
        rounds: usize,
        /// How long callers work in each half of a round, in seconds.
        #[arg(long, env = "SECONDS_EACH", default_value_t = 2.0)]
        seconds: f64,
        /// Messages in the largest tables.
        #[arg(long, env = "SCALE", default_value_t = 10_000_000)]
        scale: usize,
        /// Proves that everything runs and measures little, in a minute or two.
        #[arg(long)]
        short: bool,
    },
    /// Measures well-known libraries beside the store.
    Peers {
        /// How often each is measured.
        #[arg(long, env = "ROUNDS", default_value_t = 5)]
        rounds: usize,
    },
    /// Names what is worse than the figures that are kept.
    Compare,
    /// Keeps the last run's figures.
    Keep,
    /// Plays some traffic and tells hit ratio and memory.
    Simulate,
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Hit,
    Add,
    Functions,
    Telemetry,
    Python,
    Cold,
    Memory,
    Herd,
    Sizes,
    Instructions,
    Scale,
    Records,
    Langgraph,
    Erasure,
}

const PARTS: [(&str, Part); 14] = [
    ("hit", Part::Hit),
    ("add", Part::Add),
    ("functions", Part::Functions),
    ("telemetry", Part::Telemetry),
    ("python", Part::Python),
    ("cold", Part::Cold),
    ("memory", Part::Memory),
    ("herd", Part::Herd),
    ("sizes", Part::Sizes),
    ("instructions", Part::Instructions),
    ("scale", Part::Scale),
    ("records", Part::Records),
    ("langgraph", Part::Langgraph),
    ("erasure", Part::Erasure),
];

impl Part {
    /// Measures it. Callers of the store itself share one thread, as a function has; what has a front has one beside.
    fn measure(self, stage: &Stage) -> Outcome<Found> {
        let mut runtime = match self {
            Self::Hit | Self::Add => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        runtime.enable_all().build()?.block_on(async {
            match self {
                Self::Hit => hit::measure(stage).await,
                Self::Add => add::measure(stage).await,
                Self::Functions => functions::against_nothing(stage).await,
                Self::Telemetry => functions::telemetry(stage).await,
                Self::Python => functions::against_python(stage).await,
                Self::Cold => cold::measure(stage).await,
                Self::Memory => memory::window(stage).await,
                Self::Herd => memory::herd(stage).await,
                Self::Sizes => programs::sizes(stage),
                Self::Instructions => programs::instructions(stage).await,
                Self::Scale => scale::measure(stage).await,
                Self::Records => records::scale(stage).await,
                Self::Langgraph => records::langgraph(stage).await,
                Self::Erasure => erasure::measure(stage).await,
            }
        })
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { only, short: true, .. } => {
            measure(&only, Settings { rounds: 1, seconds: 0.2, scale: 20_000 }, false)
        }
        Command::Run { only, rounds, seconds, scale, short: false } => {
            measure(&only, Settings { rounds, seconds, scale }, true)
        }
        Command::Peers { rounds } => peers::measure(rounds),
        Command::Compare => compare(),
        Command::Keep => keep(),
        Command::Simulate => {
            say(&simulation::report());
            Ok(true)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(only: &str, settings: Settings, page: bool) -> Outcome<bool> {
    let named: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = named.iter().find(|name| PARTS.iter().all(|(part, _)| part != *name)) {
        let parts = PARTS.map(|(name, _)| name).join(", ");
        return Err(format!("there is no part {unknown}; there are {parts}").into());
    }
    let rounds = settings.rounds;
    let stage = Stage::set(settings)?;
    let mut found = Found::default();
    for (name, part) in PARTS {
        if named.is_empty() || named.contains(&name) {
            let part = part.measure(&stage).map_err(|error| format!("{name}: {error}"))?;
            say(Run::lines(&part.rows).trim_end());
            found.rows.extend(part.rows);
            found.plots.extend(part.plots);
        }
    }
    let run = Run {
        machine: report::machine(),
        versions: stage.tools.versions(),
        rounds,
        rows: found.rows,
        plots: found.plots,
    };
    if page {
        let earlier = Run::read(&last_run()).ok();
        let all = match earlier {
            Some(earlier) => run.clone().beside(earlier),
            None => run.clone(),
        };
        all.keep(&last_run())?;
        if named.is_empty() || all.is_as_much_as_the_page()? {
            all.page()?;
        } else {
            say("docs/performance.md stays as it is: it has rows that target/bench.json has not");
        }
    }
    let unmet = run.rows.iter().filter(|row| row.met == Some(false)).count();
    say(&format!("\n{} rows, {unmet} not met", run.rows.len()));
    Ok(true)
}

fn last_run() -> PathBuf {
    workspace().join("target/bench.json")
}

fn kept() -> PathBuf {
    workspace().join("bench/baseline.json")
}

fn keep() -> Outcome<bool> {
    // Pictures are on the page.
    Run { plots: Vec::new(), ..Run::read(&last_run())? }.keep(&kept())?;
    Ok(true)
}

fn compare() -> Outcome<bool> {
    let (now, before) = (Run::read(&last_run())?, Run::read(&kept())?);
    let mut worse = 0;
    for row in &now.rows {
        let Some(before) = before.rows.iter().find(|before| before.name == row.name) else { continue };
        let by = row.worse_than(before);
        if by > TOLERANCE {
            worse += 1;
            let line = format!(
                "{}: {:.0} % worse, {} and was {}",
                row.name,
                by * 100.0,
                row.reached(),
                before.reached()
            );
            say(&line);
        }
    }
    say(&format!(
        "{worse} of {} rows are over {:.0} % worse than bench/baseline.json",
        now.rows.len(),
        TOLERANCE * 100.0
    ));
    Ok(worse == 0)
}
