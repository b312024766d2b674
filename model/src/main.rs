//! `make model`: searches the states of the cache protocol, then again with each of its defences taken away.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use conversation_model::catalogue::{self, Extent};
use conversation_model::config::Config;
use conversation_model::defences::Defence;
use conversation_model::search::{self, Found, miss, shortest};
use conversation_model::story::tell;

/// Searches the states of the cache protocol, then again with each of its defences taken away.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Only the small configurations: some seconds.
    #[arg(long, conflicts_with = "long")]
    short: bool,
    /// Larger configurations too: some minutes, and some gigabytes.
    #[arg(long)]
    long: bool,
    /// Tell the shortest story of what happens without this defence, and nothing else.
    #[arg(long, value_name = "NAME")]
    defence: Option<Defence>,
    /// How many threads search a configuration.
    #[arg(long, value_name = "N", default_value_t = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))]
    threads: NonZeroUsize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let all_well = match arguments.defence {
        Some(defence) => tell_without(defence),
        None => search_all(&arguments),
    };
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The story of a defence that is missing; whether there is one.
fn tell_without(defence: Defence) -> bool {
    let Some((config, Found { violation: Some(violation), .. })) = miss(defence) else {
        say(&format!("No configuration shows what {defence} is for."));
        return false;
    };
    say(&format!("Without {defence}: {}\n\nSearched: {config}\n", defence.rule()));
    say(&tell(&config, &shortest(&config, violation)));
    true
}

fn search_all(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let extent = match (arguments.short, arguments.long) {
        (true, _) => Extent::Short,
        (_, true) => Extent::Long,
        _ => Extent::Usual,
    };
    let configs = catalogue::configs(extent);
    let full = search_full(&configs, arguments.threads);
    let needed = search_without_each();
    let defences = Defence::ALL.len();
    say(&format!(
        "\n{} configurations, {} states: {}. {} of {defences} defences needed. {:.0} s",
        configs.len(),
        grouped(full.states),
        if full.violated == 0 { "no violation".into() } else { format!("{} VIOLATED", full.violated) },
        needed,
        began.elapsed().as_secs_f64()
    ));
    full.violated == 0 && needed == defences
}

/// What came of all configurations together.
#[derive(Default)]
struct Sum {
    states: usize,
    violated: usize,
}

/// Searches the protocol as it is.
fn search_full(configs: &[Config], threads: NonZeroUsize) -> Sum {
    let width = width(configs.iter());
    say(&format!("{:width$} {:>12} {:>6} {:>8}  result", "configuration", "states", "depth", "seconds"));
    let mut sum = Sum::default();
    for config in configs {
        let found = search::search(config, threads);
        sum.states += found.states;
        sum.violated += usize::from(found.violation.is_some() || !found.hits);
        let seconds = found.took.as_secs_f64();
        let states = grouped(found.states);
        say(&format!("{config:width$} {states:>12} {:>6} {seconds:>8.1}  {}", found.depth, result(&found)));
        if let Some(violation) = &found.violation {
            say(&format!("\n{}", tell(config, violation)));
        }
    }
    sum
}

fn result(found: &Found) -> String {
    match &found.violation {
        Some(violation) => format!("VIOLATED: {}", violation.property),
        None if found.hits => "holds".into(),
        None => "NEVER HITS".into(),
    }
}

/// Takes each defence away; how many are needed.
fn search_without_each() -> usize {
    let width = width(Defence::ALL.iter());
    say(&format!(
        "\n{:width$} {:>12} {:>6} {:>8}  {:36}  caught in",
        "without", "states", "steps", "seconds", "no longer true"
    ));
    let mut needed = 0;
    for defence in Defence::ALL {
        let Some((config, found)) = miss(*defence) else {
            say(&format!("{defence:width$} {:>28}  NEVER", ""));
            continue;
        };
        needed += 1;
        let (steps, property) =
            found.violation.map_or((0, ""), |violation| (violation.length(), violation.property));
        let (states, seconds) = (grouped(found.states), found.took.as_secs_f64());
        say(&format!("{defence:width$} {states:>12} {steps:>6} {seconds:>8.1}  {property:36}  {config}"));
    }
    needed
}

fn width<T: ToString>(items: impl Iterator<Item = T>) -> usize {
    items.map(|item| item.to_string().len()).max().unwrap_or(0)
}

/// `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
fn say(line: &str) {
    println!("{line}");
}
