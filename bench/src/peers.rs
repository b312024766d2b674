//! Well-known libraries that keep conversations, beside the store: each adds and reads the same messages on the same
//! servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use conversation_local::{Wheels, workspace};
use serde::Deserialize;

use crate::front::{Call, Front};
use crate::functions::by_itself;
use crate::measure::{Outcome, say};
use crate::row::{figure, median};
use crate::stage::{Settings, Stage};

/// Where the table is kept.
const PAGE: &str = "docs/peers.md";

/// What one library did in one round: how long an add of a message and a read of the last hundred took, in
/// microseconds, half of them less.
#[derive(Debug, Deserialize)]
struct Took {
    name: String,
    add: f64,
    recent: f64,
}

/// The rounds of one library: adds and reads.
type Rounds = BTreeMap<String, (Vec<f64>, Vec<f64>)>;

pub(crate) fn measure(rounds: usize) -> Outcome<bool> {
    let stage = Stage::set(Settings { rounds, seconds: 1.0, scale: 0 })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let taken = runtime.block_on(all(&stage))?;
    let text = page(&taken, &stage);
    say(&text);
    std::fs::write(workspace().join(PAGE), text)?;
    Ok(true)
}

async fn all(stage: &Stage) -> Outcome<Rounds> {
    let front = Front::ours(stage).await?;
    front.fill().await?;
    let mut taken = Rounds::new();
    for _ in 0..stage.settings.rounds {
        let ours = Took {
            name: "conversation-store, its crate in a Rust program".into(),
            add: by_itself(stage, Call::Add).await?.p50(),
            recent: by_itself(stage, Call::Recent).await?.p50(),
        };
        for Took { name, add, recent } in python(stage, &front.url()).await?.into_iter().chain([ours]) {
            let (adds, reads) = taken.entry(name).or_default();
            adds.push(add);
            reads.push(recent);
        }
    }
    Ok(taken)
}

/// One round of all that is in Python, among it a client of the store's own HTTP API.
async fn python(stage: &Stage, url: &str) -> Outcome<Vec<Took>> {
    let mut command = Command::new(Wheels::TESTS.python()?);
    command.arg(workspace().join("bench/python/peers.py")).envs(stage.environment()).env("API_URL", url);
    // The front goes on meanwhile.
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn page(taken: &Rounds, stage: &Stage) -> String {
    let (postgres, valkey) = stage.tools.versions();
    let mut text = format!(
        "# Beside other libraries\n\n`make bench-peers` measures these figures and writes this page: one caller adds a message of 512 bytes to a \
        conversation and reads its last\nhundred messages, repeatedly, with the same PostgreSQL {postgres} and Valkey {valkey}. Each figure is \
        the median call in milliseconds, the median of {} rounds.\n\nThe libraries keep conversations in one store or the other, not in both, \
        with weaker guarantees: data in Redis alone is lost with it,\nand data in Postgres alone is read from there. \
        `tests/requirements.txt` pins their versions.\n\n| | add | recent |\n|---|---:|---:|\n",
        stage.settings.rounds
    );
    for (name, (adds, reads)) in taken {
        let ms = |micros: &Vec<f64>| figure(median(micros.clone()) / 1e3);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {} | {} |", ms(adds), ms(reads));
    }
    text
}
