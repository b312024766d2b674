//! `make model`: searches the states of the cache protocol, then again with each of its defences taken away.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use conversation_model::catalogue::{self, Extent};
use conversation_model::defences::Defence;
use conversation_model::owner;
use conversation_model::search::{self, Found, Protocol, Story, miss, shortest};

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
    let story = story_of(defence, catalogue::showing(defence));
    let Some(story) = story.or_else(|| story_of(defence, owner::showing(defence))) else {
        say(&format!("No configuration shows what {defence} is for."));
        return false;
    };
    say(&story);
    true
}

fn story_of<P: Story>(defence: Defence, configs: Vec<P>) -> Option<String> {
    let (config, Found { violation, .. }) = miss(configs)?;
    let story = config.tell(&shortest(&config, violation?));
    Some(format!("Without {defence}: {}\n\nSearched: {config}\n\n{story}", defence.rule()))
}

fn search_all(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let extent = match (arguments.short, arguments.long) {
        (true, _) => Extent::Short,
        (_, true) => Extent::Long,
        _ => Extent::Usual,
    };
    let (configs, of_owner) = (catalogue::configs(extent), owner::configs(extent));
    let width = width(configs.iter()).max(width(of_owner.iter()));
    say(&format!("{:width$} {:>12} {:>6} {:>8}  result", "configuration", "states", "depth", "seconds"));
    let mut full = Sum::default();
    search_full(&configs, arguments.threads, width, &mut full);
    search_full(&of_owner, arguments.threads, width, &mut full);
    let needed = search_without_each();
    let defences = Defence::ALL.len();
    say(&format!(
        "\n{} configurations, {} states: {}. {} of {defences} defences needed. {:.0} s",
        configs.len() + of_owner.len(),
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
fn search_full<P: Story>(configs: &[P], threads: NonZeroUsize, width: usize, sum: &mut Sum) {
    for config in configs {
        let found = search::search(config, threads);
        sum.states += found.states;
        sum.violated += usize::from(found.violation.is_some() || !found.proves);
        let seconds = found.took.as_secs_f64();
        let states = grouped(found.states);
        say(&format!("{config:width$} {states:>12} {:>6} {seconds:>8.1}  {}", found.depth, result(&found)));
        if let Some(violation) = &found.violation {
            say(&format!("\n{}", config.tell(violation)));
        }
    }
}

fn result<P: Protocol>(found: &Found<P>) -> String {
    match &found.violation {
        Some(violation) => format!("VIOLATED: {}", violation.property),
        None if found.proves => "holds".into(),
        None => "PROVES NOTHING".into(),
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
        let caught = caught(catalogue::showing(*defence)).or_else(|| caught(owner::showing(*defence)));
        needed += usize::from(caught.is_some());
        say(&format!("{defence:width$} {}", caught.unwrap_or_else(|| format!("{:>28}  NEVER", ""))));
    }
    needed
}

/// How many states it takes, and what comes of it; none if nothing does.
fn caught<P: Protocol>(configs: Vec<P>) -> Option<String> {
    let (config, found) = miss(configs)?;
    let (steps, property) =
        found.violation.map_or((0, ""), |violation| (violation.length(), violation.property));
    let (states, seconds) = (grouped(found.states), found.took.as_secs_f64());
    Some(format!("{states:>12} {steps:>6} {seconds:>8.1}  {property:36}  {config}"))
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
