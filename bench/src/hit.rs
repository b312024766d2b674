//! A read that the cache answers, against a bare `LRANGE` of the same list by the same client.

use conversation_core::{ConversationStore, Limit, Source};
use conversation_local::Valkey;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use crate::load::{Sample, closed, to_f64};
use crate::measure::{CALLERS, Outcome, in_turn};
use crate::plot::{Plot, Series};
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{Stage, batch, key};

const CONVERSATION: &str = "hit";
/// How many reads the server's cost is counted over.
const COUNTED: usize = 2_000;

pub(crate) async fn measure(stage: &Stage) -> Outcome<Found> {
    stage.store()?.add(&key(CONVERSATION)?, &batch(100)?).await?;
    let mut found = Found::default();
    for callers in CALLERS {
        let pairs = in_turn(
            stage.settings.rounds,
            async || ours(stage, callers).await,
            async || theirs(stage, callers).await,
        )
        .await?;
        let rates: Vec<_> = pairs.iter().map(|(a, b)| (a.per_second, b.per_second)).collect();
        let halves: Vec<_> = pairs.iter().map(|(a, b)| (a.p50(), b.p50())).collect();
        let name = format!("recent, a hit, against LRANGE, {}", callers_in_words(callers));
        found.rows.push(Row::pairs(format!("{name}: throughput"), "1/s", Target::AtLeast(0.8), &rates));
        found.rows.push(Row::pairs(format!("{name}: p50"), "us", Target::AtMost(1.3), &halves));
        if let Some((a, b)) = pairs.last() {
            found.plots.push(distribution(&name, ("recent", a), ("LRANGE", b)));
        }
    }
    found.rows.extend(server_cost(stage).await?);
    Ok(found)
}

pub(crate) fn callers_in_words(callers: usize) -> String {
    if callers == 1 { "1 caller".into() } else { format!("{callers} callers") }
}

/// How two samples are spread.
pub(crate) fn distribution(title: &str, ours: (&str, &Sample), theirs: (&str, &Sample)) -> Plot {
    let series = [ours, theirs].map(|(name, sample)| {
        let points = (1..100).map(|percent| (sample.percentile(percent) / 1e3, to_f64(percent))).collect();
        Series { name: name.to_owned(), points }
    });
    Plot {
        title: title.to_owned(),
        across: "milliseconds".into(),
        up: "% took no longer".into(),
        logarithmic: false,
        series: series.into(),
    }
}

async fn hit(store: &ConversationStore) -> Outcome<()> {
    let read = store.recent(&key(CONVERSATION)?, Limit::MAX, None).await?;
    let whole = read.found.is_some_and(|page| page.items.len() == 100);
    if read.source == Source::Hit && whole { Ok(()) } else { Err("it was no hit".into()) }
}

/// What a read under `If-None-Match` asks when nothing has changed.
async fn poll(store: &ConversationStore) -> Outcome<()> {
    let read = store.get(&key(CONVERSATION)?, None).await?;
    if read.source == Source::Hit && read.found.is_some() { Ok(()) } else { Err("it was no hit".into()) }
}

async fn bare(redis: &MultiplexedConnection, window: &str) -> Outcome<()> {
    let elements: Vec<Vec<u8>> = redis.clone().lrange(window, -100, -1).await?;
    if elements.len() == 100 { Ok(()) } else { Err("the window is not whole".into()) }
}

async fn ours(stage: &Stage, callers: usize) -> Outcome<Sample> {
    let stores = (0..callers).map(|_| stage.store()).collect::<Outcome<_>>()?;
    closed(stores, stage.settings.seconds, |store| async move { hit(&store).await }).await
}

async fn theirs(stage: &Stage, callers: usize) -> Outcome<Sample> {
    let window = window(stage).await?;
    let mut connections = Vec::new();
    for _ in 0..callers {
        connections.push((stage.redis().await?, window.clone()));
    }
    let work = |caller: std::sync::Arc<(MultiplexedConnection, String)>| async move {
        bare(&caller.0, &caller.1).await
    };
    closed(connections, stage.settings.seconds, work).await
}

/// The key of the window that was cached.
async fn window(stage: &Stage) -> Outcome<String> {
    let keys: Vec<String> = stage.redis().await?.keys(format!("*{CONVERSATION}*:messages")).await?;
    keys.into_iter().next().ok_or_else(|| "nothing is cached".into())
}

/// What a server spent, in microseconds: in commands by its own account, and of its processor.
struct Spent {
    commands: f64,
    processor: f64,
}

async fn server_cost(stage: &Stage) -> Outcome<[Row; 4]> {
    let (store, redis, window) = (stage.store()?, stage.redis().await?, window(stage).await?);
    let spent = in_turn(
        stage.settings.rounds,
        async || counted(&stage.valkey, async || hit(&store).await).await,
        async || counted(&stage.valkey, async || bare(&redis, &window).await).await,
    )
    .await?;
    let polled = in_turn(
        stage.settings.rounds,
        async || counted(&stage.valkey, async || poll(&store).await).await,
        async || counted(&stage.valkey, async || hit(&store).await).await,
    )
    .await?;
    let pairs = |spent: &[(Spent, Spent)], of: fn(&Spent) -> f64| {
        spent.iter().map(|(a, b)| (of(a), of(b))).collect::<Vec<_>>()
    };
    let each = |of| pairs(&spent, of);
    let poll = "a poll of what has not changed, against a hit, server";
    let name = "recent, a hit, against LRANGE, server";
    Ok([
        Row::pairs(format!("{name}: command time"), "us", Target::AtMost(1.5), &each(|spent| spent.commands)),
        Row::pairs(format!("{name}: processor"), "us", Target::AtMost(1.25), &each(|spent| spent.processor)),
        Row::pairs(
            format!("{poll}: command time"),
            "us",
            Target::AtMost(0.6),
            &pairs(&polled, |spent| spent.commands),
        ),
        Row::pairs(
            format!("{poll}: processor"),
            "us",
            Target::AtMost(0.6),
            &pairs(&polled, |spent| spent.processor),
        ),
    ])
}

/// What one of many reads costs the server.
async fn counted(server: &Valkey, read: impl AsyncFn() -> Outcome<()>) -> Outcome<Spent> {
    let mut redis = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    read().await?;
    let before = processor(&mut redis).await?;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut redis).await?;
    for _ in 0..COUNTED {
        read().await?;
    }
    let commands: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await?;
    let after = processor(&mut redis).await?;
    // What a transaction's commands take is counted as EXEC's too, and so is what surrounds them.
    let counted = |line: &&str| {
        let transaction = commands.contains("cmdstat_exec:");
        let mine = if transaction { ["cmdstat_exec:", "cmdstat_multi:"] } else { ["cmdstat_lrange:", "-"] };
        mine.iter().any(|command| line.starts_with(command))
    };
    let micros: f64 = commands.lines().filter(counted).filter_map(|line| number(line, "usec=")).sum();
    Ok(Spent { commands: micros / to_f64(COUNTED), processor: (after - before) / to_f64(COUNTED) })
}

async fn processor(redis: &mut MultiplexedConnection) -> Outcome<f64> {
    let info: String = redis::cmd("INFO").arg("cpu").query_async(redis).await?;
    let used = |field: &str| info.lines().find_map(|line| number(line, field)).unwrap_or_default();
    Ok((used("used_cpu_sys:") + used("used_cpu_user:")) * 1e6)
}

/// The number after a word.
fn number(line: &str, before: &str) -> Option<f64> {
    let (_, after) = line.split_once(before)?;
    after.split(',').next()?.trim().parse().ok()
}
