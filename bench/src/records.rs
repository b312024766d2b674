//! Records: whether they stay as fast while one conversation gets more of them, and LangGraph's checkpoints on them beside those of its
//! own saver for Postgres.

use std::process::Command;
use std::time::Instant;

use conversation_core::{
    ContentType, ConversationIndex, DatabaseConfig, Order, Precondition, RecordBatch, RecordChange,
    RecordKey, RecordLimit, RecordQuery, RecordScope, RecordValue,
};
use conversation_local::{Wheels, workspace};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::front::Front;
use crate::measure::Outcome;
use crate::report::Found;
use crate::row::{Row, Target, median};
use crate::stage::{OWNER, Stage, key};

/// Records of the smaller conversation, and how many times more the larger one has.
const FEW: usize = 1_000;
const MORE: usize = 1_000;
/// How often each thing is done in a round.
const TIMES: usize = 200;
/// The value of a record.
const VALUE: &str = "the quick brown fox jumps over the lazy dog, and once more over the same lazy dog";

/// The things that are done.
const DONE: [&str; 3] = ["reading a record", "storing a record", "a page of 100 records in the middle"];

pub(crate) async fn scale(stage: &Stage) -> Outcome<Found> {
    // A tenth of the largest history, and never fewer than the small conversation has.
    let many = (stage.settings.scale / 10).clamp(2 * FEW, FEW * MORE);
    let url = stage.database("records")?;
    let index = conversation_core::conversation_index(&DatabaseConfig::from_url(&url)?);
    let sizes = [FEW, many];
    for size in sizes {
        fill(&index, &url, size).await?;
    }
    let mut medians = vec![vec![Vec::new(); DONE.len()]; sizes.len()];
    for _ in 0..stage.settings.rounds {
        for (at, size) in sizes.into_iter().enumerate() {
            for (thing, micros) in round(&index, size).await?.into_iter().enumerate() {
                medians[at][thing].push(micros);
            }
        }
    }
    let mut found = Found::default();
    for (thing, name) in DONE.iter().enumerate() {
        let pairs: Vec<_> =
            medians[1][thing].iter().copied().zip(medians[0][thing].iter().copied()).collect();
        let name = format!("{name}, {many} records of one conversation against {FEW}: p50");
        found.rows.push(Row::pairs(name, "us", Target::AtMost(1.2), &pairs));
    }
    Ok(found)
}

fn scope(size: usize) -> Outcome<RecordScope> {
    Ok(RecordScope::Conversation(key(&format!("of-{size}"))?))
}

fn name_of(n: usize) -> String {
    format!("records/{n:09}")
}

fn stored(n: usize) -> Outcome<RecordBatch> {
    let value = RecordValue { bytes: format!("{VALUE} {n}").into(), content_type: ContentType::text() };
    let (key, precondition) = (RecordKey::new(name_of(n))?, Precondition::None);
    Ok(RecordBatch::new(vec![RecordChange { key, value: Some(value), precondition }])?)
}

async fn fill(index: &ConversationIndex, url: &str, size: usize) -> Outcome<()> {
    index.write_records(&scope(size)?, &stored(0)?).await?;
    let mut postgres = PgConnection::connect(url).await?;
    let statement = format!(
        "insert into records (scope_key, revision, updated_at, shard, key, content_type, value)
            select c.key, 1, now(), c.shard, 'records/' || lpad(n::text, 9, '0'), 'text/plain', convert_to('{VALUE} ' || n, 'UTF8')
            from conversations c, generate_series(1, {size} - 1) n
            where c.owner_id = '{OWNER}' and c.conversation_id = 'of-{size}'"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut postgres).await?;
    sqlx::raw_sql("vacuum (analyze)").execute(&mut postgres).await?;
    Ok(())
}

/// The middle time of each thing, in microseconds.
async fn round(index: &ConversationIndex, size: usize) -> Outcome<Vec<f64>> {
    let mut times = vec![Vec::new(); DONE.len()];
    // Each once before, so that connections are made and statements prepared.
    for (at, first) in [(0, true)].into_iter().chain((0..TIMES).map(|at| (at + 1, false))) {
        for (thing, times) in times.iter_mut().enumerate() {
            let began = Instant::now();
            once(index, size, thing, at).await?;
            if !first {
                times.push(began.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// Of a different record each time, from all over the conversation.
async fn once(index: &ConversationIndex, size: usize, thing: usize, at: usize) -> Outcome<()> {
    let (scope, n) = (scope(size)?, size / (TIMES + 1) * at);
    match thing {
        0 => {
            index.record(&scope, &RecordKey::new(name_of(n))?, &[]).await?.ok_or("a record is missing")?;
        }
        1 => drop(index.write_records(&scope, &stored(n)?).await?),
        _ => {
            let query = RecordQuery {
                keys: Vec::new(),
                prefixes: vec!["records/".into()],
                after: Some(name_of((size / 2).saturating_sub(at))),
                order: Order::Ascending,
                limit: RecordLimit::USUAL,
                value_bytes: Some(1 << 20),
            };
            if index.records(&scope, &query).await?.items.len() < 100 {
                return Err("the list is short".into());
            }
        }
    }
    Ok(())
}

/// What one checkpointer did: milliseconds in a thread of so many checkpoints, half of them less, and the bytes that each of the longest
/// thread took.
#[derive(Debug, Deserialize)]
struct Checkpointer {
    put: Vec<f64>,
    get_tuple: Vec<f64>,
    bytes_each: f64,
}

/// The times of one call.
type Times = fn(&Checkpointer) -> &Vec<f64>;

/// Ours through the front, and LangGraph's own in its process.
#[derive(Debug, Deserialize)]
struct Both {
    checkpoints: Vec<usize>,
    ours: Checkpointer,
    theirs: Checkpointer,
}

pub(crate) async fn langgraph(stage: &Stage) -> Outcome<Found> {
    let front = Front::ours(stage).await?;
    stage.postgres.create_database(&stage.tools, "langgraph")?;
    let theirs = stage.postgres.url("langgraph");
    let mut rounds = Vec::new();
    for _ in 0..stage.settings.rounds.min(3) {
        let mut command = Command::new(Wheels::CLIENTS.python()?);
        command.arg(workspace().join("bench/python/langgraph_savers.py"));
        command.env("PYTHONPATH", workspace().join("clients/python/src"));
        command
            .env("API_URL", front.url())
            .env("DATABASE_URL", &stage.database_url)
            .env("PEER_DATABASE_URL", &theirs);
        command.env("CHECKPOINTS", if stage.settings.scale < 1_000_000 { "10,100" } else { "10,1000,10000" });
        // The front goes on meanwhile.
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        rounds.push(serde_json::from_slice::<Both>(&output.stdout)?);
    }
    let mut found = Found::default();
    let sizes = rounds.first().map(|round| round.checkpoints.clone()).unwrap_or_default();
    let pairs = |of: &dyn Fn(&Both) -> (f64, f64)| rounds.iter().map(of).collect::<Vec<_>>();
    let calls: [(&str, Times); 2] = [("put", |of| &of.put), ("get_tuple", |of| &of.get_tuple)];
    for (name, times) in calls {
        for (at, size) in sizes.iter().enumerate() {
            let pairs = pairs(&|round| (times(&round.ours)[at], times(&round.theirs)[at]));
            let name = format!(
                "LangGraph {name} at {size} checkpoints, over HTTP against PostgresSaver in its process: p50"
            );
            found.rows.push(Row::pairs(name, "ms", Target::AtMost(2.0), &pairs));
        }
        let last = sizes.len().saturating_sub(1);
        let pairs = pairs(&|round| (times(&round.ours)[last], times(&round.ours)[0]));
        let (few, many) = (sizes.first().unwrap_or(&0), sizes.last().unwrap_or(&0));
        let name = format!("LangGraph {name}, {many} checkpoints against {few}: p50");
        found.rows.push(Row::pairs(name, "ms", Target::AtMost(1.2), &pairs));
    }
    let bytes = pairs(&|round| (round.ours.bytes_each, round.theirs.bytes_each));
    let name = "Postgres bytes of a LangGraph checkpoint, with its writes and indexes, against PostgresSaver"
        .to_owned();
    found.rows.push(Row::pairs(name, "B", Target::AtMost(0.5), &bytes));
    Ok(found)
}
