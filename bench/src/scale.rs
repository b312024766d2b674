//! Whether it stays as fast while the tables grow.

use std::fmt::Write as _;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use conversation_core::{
    ConversationFilter, ConversationId, ConversationIndex, ConversationKey, ConversationStore, Cursor,
    DatabaseConfig, Direction, Limit, Order, OwnerId, Range, Sharding, Source,
};
use sqlx::{Connection as _, PgConnection};

use crate::load::to_f64;
use crate::measure::Outcome;
use crate::plot::{Plot, Series};
use crate::report::Found;
use crate::row::{Row, Target, median};
use crate::stage::{OWNER, Stage, batch, store_at};

/// How many times smaller the smallest tables are, and those between.
const SMALLER: [usize; 4] = [1_000, 100, 10, 1];
/// Messages of one conversation, but for the long one.
const EACH: usize = 9;
/// How often each thing is done in a round.
const TIMES: usize = 200;
/// Rows that are sent at once.
const CHUNK: usize = 10_000;
/// How many partitions the largest tables have where they are measured once more.
const PARTITIONS: u16 = 64;

/// Tables of some size. A tenth of the messages is one long conversation; the others are spread over as many
/// conversations, half of which are one owner's.
struct Tables {
    messages: usize,
    conversations: usize,
    /// Messages of the long conversation, which is the first.
    long: usize,
    url: String,
    store: ConversationStore,
    index: ConversationIndex,
    /// Where the middle of the list is.
    middle: Cursor,
}

/// The things that are done, and where their times are kept.
const DONE: [&str; 4] = [
    "recent of a conversation that is not cached",
    "add",
    "a page in the middle of a long history",
    "a page in the middle of a long list",
];

pub(crate) async fn measure(stage: &Stage) -> Outcome<Found> {
    let mut all = Vec::new();
    for smaller in SMALLER {
        all.push(Tables::load(stage, stage.settings.scale / smaller, Sharding::None).await?);
    }
    all.push(Tables::load(stage, stage.settings.scale, Sharding::Partitions(PARTITIONS)).await?);
    // By table and thing: the medians of the rounds, in microseconds.
    let mut medians = vec![vec![Vec::new(); DONE.len()]; all.len()];
    for _ in 0..stage.settings.rounds {
        let mut redis = stage.redis().await?;
        redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
        for (at, tables) in all.iter().enumerate() {
            for (thing, micros) in tables.round().await?.into_iter().enumerate() {
                medians[at][thing].push(micros);
            }
        }
    }
    let mut found = Found::default();
    let (partitioned, plain) = (all.pop().ok_or("no tables")?, SMALLER.len() - 1);
    let (least, most) = (all[0].messages, partitioned.messages);
    for (thing, name) in DONE.iter().enumerate() {
        let pairs = |one: usize, other: usize| {
            let (one, other) = (medians[one][thing].iter(), medians[other][thing].iter());
            one.copied().zip(other.copied()).collect::<Vec<_>>()
        };
        let grown = format!("{name}, {most} messages against {least}: p50");
        found.rows.push(Row::pairs(grown, "us", Target::AtMost(1.2), &pairs(plain, 0)));
        let spread = format!("{name}, {most} messages in {PARTITIONS} partitions against one table: p50");
        found.rows.push(Row::pairs(spread, "us", Target::Informational, &pairs(plain + 1, plain)));
    }
    for (tables, form) in [(&all[plain], ""), (&partitioned, ", in partitions")] {
        let name = format!("Postgres bytes of a message, with indexes{form}");
        found.rows.push(Row::alone(name, "B", Target::Informational, &[tables.bytes_each().await?]));
    }
    let vacuums = partitioned.vacuum("messages_0").await? / all[plain].vacuum("messages").await?;
    let name =
        format!("vacuum of messages, one of {PARTITIONS} partitions against one table of {most} messages");
    found.rows.push(Row::alone(name, "x", Target::Informational, &[vacuums]));
    found.plots.push(curves(&all, &medians));
    drop(partitioned.store);
    for tables in all {
        drop(tables.store);
    }
    Ok(found)
}

fn curves(all: &[Tables], medians: &[Vec<Vec<f64>>]) -> Plot {
    let series = DONE.iter().enumerate().map(|(thing, name)| Series {
        name: (*name).to_owned(),
        points: all
            .iter()
            .zip(medians)
            .map(|(tables, medians)| (to_f64(tables.messages), median(medians[thing].clone()) / 1e3))
            .collect(),
    });
    Plot {
        title: "How long it takes while the tables grow".into(),
        across: "messages".into(),
        up: "milliseconds, p50".into(),
        logarithmic: true,
        series: series.collect(),
    }
}

impl Tables {
    async fn load(stage: &Stage, messages: usize, sharding: Sharding) -> Outcome<Self> {
        let name = format!("scale{messages}{}", if sharding == Sharding::None { "" } else { "parts" });
        let url = stage.database_spread(&name, sharding)?;
        // Enough that nothing is done twice.
        let (conversations, long) = ((messages / 10).max(2 * TIMES + 4), (messages / 10).max(4 * TIMES));
        let mut postgres = PgConnection::connect(&url).await?;
        copy_conversations(&mut postgres, conversations, long).await?;
        copy_messages(&mut postgres, conversations, long).await?;
        sqlx::raw_sql("vacuum (analyze)").execute(&mut postgres).await?;
        let store = store_at(&url, &stage.valkey.url(), &name)?;
        let index = conversation_core::conversation_index(&DatabaseConfig::from_url(&url)?);
        let middle = cursor_to(&index, conversations / 2).await?;
        Ok(Self { messages, conversations, long, url, store, index, middle })
    }

    /// The middle time of each thing, in microseconds.
    async fn round(&self) -> Outcome<Vec<f64>> {
        let mut times = vec![Vec::new(); DONE.len()];
        // Each once before, so that connections are made and statements prepared.
        for (at, first) in [(0, true)].into_iter().chain((0..TIMES).map(|at| (at + 1, false))) {
            for (thing, times) in times.iter_mut().enumerate() {
                let began = Instant::now();
                self.once(thing, at).await?;
                if !first {
                    times.push(began.elapsed().as_secs_f64() * 1e6);
                }
            }
        }
        Ok(times.into_iter().map(median).collect())
    }

    /// Of a different conversation each time, from all over the tables.
    async fn once(&self, thing: usize, at: usize) -> Outcome<()> {
        let n = 2 + (self.conversations - 2) / (TIMES + 1) * at;
        match thing {
            0 => {
                let read = self.store.recent(&key_of(n)?, Limit::MAX, None).await?;
                if read.source == Source::Hit {
                    return Err("it was cached".into());
                }
            }
            // It was read just now, so that it is cached.
            1 => drop(self.store.add(&key_of(n)?, &batch(1)?).await?),
            2 => {
                let middle = i64::try_from(self.long / 2 + at)?;
                let page = self.store.history(&key_of(1)?, Range::Before(middle), Limit::MAX, None).await?;
                if page.found.is_none_or(|page| page.items.is_empty()) {
                    return Err("the history is empty".into());
                }
            }
            _ => {
                let (owner, order) = (OwnerId::new(OWNER)?, Order::Descending);
                let listing = self
                    .index
                    .list(&owner, &ConversationFilter::default(), order, Some(&self.middle), Limit::LIST)
                    .await?;
                if listing.page.items.len() < Limit::LIST.get() {
                    return Err("the list is empty".into());
                }
            }
        }
        Ok(())
    }

    /// How long a vacuum takes that reads all of a table and its indexes, in seconds.
    async fn vacuum(&self, table: &str) -> Outcome<f64> {
        let mut postgres = PgConnection::connect(&self.url).await?;
        let began = Instant::now();
        let vacuum = format!("vacuum (freeze, disable_page_skipping, index_cleanup on) {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(vacuum)).execute(&mut postgres).await?;
        Ok(began.elapsed().as_secs_f64())
    }

    async fn bytes_each(&self) -> Outcome<f64> {
        let mut postgres = PgConnection::connect(&self.url).await?;
        let bytes =
            "select coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree('messages')),
            pg_total_relation_size('messages'))::float8 / (select count(*) from messages)";
        Ok(sqlx::query_scalar(bytes).fetch_one(&mut postgres).await?)
    }
}

/// A cursor to some conversation, which no caller could have without all the pages before: made of one that is given out.
async fn cursor_to(index: &ConversationIndex, n: usize) -> Outcome<Cursor> {
    let (owner, order) = (OwnerId::new(OWNER)?, Order::Descending);
    let first = index
        .list(&owner, &ConversationFilter::default(), order, None, Limit::LIST)
        .await?
        .after
        .ok_or("one page holds all")?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(first.encode(&owner))?)?;
    let kept: Vec<&str> = text.split(' ').take(2).collect();
    let text = format!("{} {} c{n}", kept.join(" "), micros_of(n));
    Ok(Cursor::decode(&URL_SAFE_NO_PAD.encode(text), &owner, order, Direction::After)?)
}

/// Every second conversation is [`OWNER`]'s, the others are everybody else's.
fn owner_of(n: usize) -> String {
    if n % 2 == 1 { OWNER.to_owned() } else { format!("owner{}", n % 1_000) }
}

fn shard_of(n: usize) -> Outcome<i32> {
    Ok(OwnerId::new(owner_of(n))?.shard())
}

fn key_of(n: usize) -> Outcome<ConversationKey> {
    Ok(ConversationKey { owner: OwnerId::new(owner_of(n))?, id: ConversationId::new(format!("c{n}"))? })
}

/// When a conversation was last changed, in microseconds since 1970: a second after the one before it, from 2020 on.
fn micros_of(n: usize) -> i64 {
    1_577_836_800_000_000 + i64::try_from(n).unwrap_or_default() * 1_000_000
}

/// The same, as Postgres reads it; there is room in January for two million.
fn moment_of(n: usize) -> String {
    format!("2020-01-{:02} {:02}:{:02}:{:02}+00", 1 + n / 86_400, n / 3_600 % 24, n / 60 % 60, n % 60)
}

async fn copy_conversations(postgres: &mut PgConnection, conversations: usize, long: usize) -> Outcome<()> {
    let statement =
        "copy conversations (shard, key, owner_id, conversation_id, version, last_seq, message_count, created_at,
        updated_at, last_message_at) from stdin";
    let mut copy = postgres.copy_in_raw(statement).await?;
    for chunk in (1..=conversations).collect::<Vec<_>>().chunks(CHUNK) {
        let mut text = String::new();
        for n in chunk {
            let (count, at) = (if *n == 1 { long } else { EACH }, moment_of(*n));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}\t{n}\t{}\tc{n}\t{count}\t{count}\t{count}\t{at}\t{at}\t{at}",
                shard_of(*n)?,
                owner_of(*n)
            );
        }
        copy.send(text.into_bytes()).await?;
    }
    copy.finish().await?;
    let next = format!("select setval(pg_get_serial_sequence('conversations', 'key'), {conversations})");
    sqlx::raw_sql(sqlx::AssertSqlSafe(next)).execute(postgres).await?;
    Ok(())
}

async fn copy_messages(postgres: &mut PgConnection, conversations: usize, long: usize) -> Outcome<()> {
    let statement =
        "copy messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at) from stdin";
    let mut copy = postgres.copy_in_raw(statement).await?;
    let mut text = String::new();
    for n in 1..=conversations {
        let shard = shard_of(n)?;
        for seq in 1..=if n == 1 { long } else { EACH } {
            let _ = writeln!(
                text,
                "{shard}\t{n}\t{seq}\tmsg_{n:016x}{seq:016x}\tf\t{{\"role\":\"user\",\"content\":\"message {seq} of {n}: the quick brown fox jumps over the lazy dog\"}}\t2023-11-14 22:13:20+00"
            );
            if text.len() > 1 << 20 {
                copy.send(std::mem::take(&mut text).into_bytes()).await?;
            }
        }
    }
    copy.send(text.into_bytes()).await?;
    copy.finish().await?;
    Ok(())
}
