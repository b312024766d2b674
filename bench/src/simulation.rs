//! Some traffic, played without a store: how often the cache would answer, and how large it would become.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::load::to_f64;

/// How long a conversation stays cached after it was last written or warmed, in hours.
const STAYS: u32 = 7 * 24;
/// Hours that are played, and those before that count for nothing: until the cache holds what it will.
const HOURS: u32 = 21 * 24;
const WARMING: u32 = 14 * 24;
/// New conversations in an hour.
const NEW: u32 = 200;
/// Bytes of an average message as it is cached, and of an entry beside its window.
const MESSAGE: usize = 600;
const ENTRY: usize = 700;

/// A shape of traffic: how a conversation goes on after it began.
struct Shape {
    name: &'static str,
    /// The share of conversations that somebody comes back to, in each hour since they were last used; it falls with
    /// the time that has passed.
    returns: f64,
    /// Turns of a visit: each reads the recent messages once and adds two.
    turns: u32,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "support: one visit, seldom a second", returns: 0.05, turns: 6 },
    Shape { name: "assistant: people come back for days", returns: 0.4, turns: 8 },
    Shape { name: "companion: people come back for weeks", returns: 1.2, turns: 15 },
];

/// What came of it.
struct Played {
    reads: usize,
    hits: usize,
    cached: usize,
    bytes: usize,
}

/// A table of all shapes.
pub(crate) fn report() -> String {
    let mut text = String::from(
        "| traffic | reads | answered by Redis | cached conversations | Redis memory of each |\n|---|---:|---:|---:|---:|\n",
    );
    for shape in &SHAPES {
        let Played { reads, hits, cached, bytes } = play(shape);
        let ratio = 100.0 * to_f64(hits) / to_f64(reads);
        let each = to_f64(bytes) / to_f64(cached) / 1024.0;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {reads} | {ratio:.1} % | {cached} | {each:.0} KiB |", shape.name);
    }
    text
}

/// A conversation: when it was last used, and how many messages it has.
struct Conversation {
    used: u32,
    messages: usize,
}

fn play(shape: &Shape) -> Played {
    // The same choices every time.
    let mut random = fastrand::Rng::with_seed(7);
    let mut all: BTreeMap<u32, Conversation> = BTreeMap::new();
    let mut played = Played { reads: 0, hits: 0, cached: 0, bytes: 0 };
    let mut began = 0;
    for hour in 0..HOURS {
        for conversation in all.values_mut() {
            let since = f64::from(hour - conversation.used);
            if random.f64() < shape.returns / (since + 1.0).powf(1.5) / 2.0 {
                visit(shape, conversation, hour, &mut played);
            }
        }
        for _ in 0..NEW {
            let mut conversation = Conversation { used: hour, messages: 0 };
            visit(shape, &mut conversation, hour, &mut played);
            all.insert(began, conversation);
            began += 1;
        }
    }
    for conversation in all.values().filter(|conversation| HOURS - conversation.used <= STAYS) {
        played.cached += 1;
        played.bytes += ENTRY + conversation.messages.min(100) * MESSAGE;
    }
    played
}

/// Each turn reads, and then adds a question and its answer. The first read of a visit is a miss if what was cached has
/// gone; of a new conversation there is nothing to read before the first add.
fn visit(shape: &Shape, conversation: &mut Conversation, hour: u32, played: &mut Played) {
    let new = conversation.messages == 0;
    let gone = hour - conversation.used > STAYS;
    if hour >= WARMING {
        let reads = shape.turns - u32::from(new);
        played.reads += reads as usize;
        played.hits += (reads - u32::from(gone)) as usize;
    }
    conversation.used = hour;
    conversation.messages += 2 * shape.turns as usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_traffic_is_played_every_time() {
        assert_eq!(report(), report());
        let played = play(&SHAPES[0]);
        assert!(played.hits < played.reads && played.cached > 0);
    }
}
