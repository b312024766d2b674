//! Many writers and readers of one conversation at once, through the functions' own processes. `DURATION` says for how
//! many seconds; a minute:
//!
//! ```sh
//! DURATION=60 target/debug/conversation-local test -- crowd:: -- --nocapture
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use conversation_tests::{Answer, Api, Profile, Stack, in_each_profile, report, size};
use redis::AsyncCommands as _;
use serde_json::json;
use uuid::Uuid;

in_each_profile!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    a_crowd_on_one_conversation_loses_nothing_and_reads_nothing_stale,
);

const WRITERS: usize = 8;
const READERS: usize = 8;
const C: &str = "/v1/conversations/c";
const MESSAGES: &str = "/v1/conversations/c/messages";
const WINDOW: &str = "conversation:{local/c}:messages";

/// What they all know.
struct Crowd {
    api: Api,
    until: Instant,
    /// The newest that was acknowledged, but for writes of which the cache knows nothing.
    acknowledged: Newest,
    /// The newest that anybody has heard of.
    seen: Newest,
    /// What was returned to them for each position.
    returned: Mutex<HashMap<i64, String>>,
    counts: Counts,
}

/// A position and a version, each the highest yet.
#[derive(Default)]
struct Newest {
    seq: AtomicI64,
    version: AtomicI64,
}

impl Newest {
    fn learn(&self, seq: i64, version: i64) {
        self.seq.fetch_max(seq, Ordering::SeqCst);
        self.version.fetch_max(version, Ordering::SeqCst);
    }

    fn get(&self) -> (i64, i64) {
        (self.seq.load(Ordering::SeqCst), self.version.load(Ordering::SeqCst))
    }
}

/// What they did.
#[derive(Debug, Default)]
struct Counts {
    adds: AtomicU64,
    repeats: AtomicU64,
    /// Adds whose cache update is pending.
    unpublished: AtomicU64,
    /// Answers 503.
    unavailable: AtomicU64,
    reads: AtomicU64,
    hits: AtomicU64,
    /// Reads that missed a write whose cache update was deferred.
    excused: AtomicU64,
}

/// A message as it was sent, and the position that was returned to its writer.
struct Sent {
    seq: i64,
    id: String,
    json: String,
}

/// A number below `sides`.
fn dice(sides: u64) -> u64 {
    Uuid::new_v4().as_u64_pair().1 % sides
}

fn count(counter: &AtomicU64, when: bool) {
    counter.fetch_add(u64::from(when), Ordering::Relaxed);
}

impl Crowd {
    fn new(api: Api) -> Self {
        let until = Instant::now() + Duration::from_secs(size("DURATION", 4).into());
        let (acknowledged, seen) = (Newest::default(), Newest::default());
        Self { api, until, acknowledged, seen, returned: Mutex::default(), counts: Counts::default() }
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// What was known when a read was asked for must be in its answer, unless its cache update was deferred: that
    /// happens where Redis does not answer in time, on a machine that has no time. Then the function has said so.
    fn must_know(&self, answer: &Answer, read: (i64, i64), known: [(i64, i64); 2]) {
        let older = |than: (i64, i64)| read.0 < than.0 || read.1 < than.1;
        let [acknowledged, seen] = known;
        assert!(
            !older(acknowledged),
            "{read:?} was read after {acknowledged:?} was acknowledged: {answer:?}"
        );
        if older(seen) {
            let said = self.api.log().contains("cannot intent the cache");
            assert!(said, "{read:?} was read after {seen:?} was seen: {answer:?}");
            count(&self.counts.excused, true);
        }
        self.seen.learn(read.0, read.1);
    }

    fn known(&self) -> [(i64, i64); 2] {
        [self.acknowledged.get(), self.seen.get()]
    }

    /// The positions in an answer; nothing else was ever returned for any of them.
    fn compare(&self, answer: &Answer) -> Vec<i64> {
        let mut returned = self.returned.lock().unwrap();
        let compare = |message: String| {
            let seq = seq_of(&message);
            let known = returned.entry(seq).or_insert_with(|| message.clone());
            assert_eq!(*known, message);
            seq
        };
        answer.messages().into_iter().map(compare).collect()
    }

    /// Adds messages, for as long as it takes.
    async fn add(&self, messages: &[&str]) -> Answer {
        let body = match messages {
            [one] => (*one).to_owned(),
            many => format!("{{\"messages\":[{}]}}", many.join(",")),
        };
        loop {
            let answer = self.api.post(MESSAGES, body.clone()).await;
            count(&self.counts.unavailable, answer.status == 503);
            if answer.status != 503 {
                assert_eq!(answer.status, 200, "{}", answer.text);
                count(&self.counts.adds, true);
                let (last, version) =
                    (self.compare(&answer).into_iter().max().unwrap(), answer.number("/version"));
                let cache_status = answer.cache_status.as_deref().unwrap();
                if !cache_status.contains("deferred") {
                    self.acknowledged.learn(last, version);
                }
                self.seen.learn(last, version);
                count(&self.counts.unpublished, !cache_status.ends_with("stored"));
                return answer;
            }
        }
    }

    /// Adds batches of one to three messages, sometimes with one that was stored before, sometimes twice.
    async fn write(&self, writer: usize) -> Vec<Sent> {
        let mut sent: Vec<Sent> = Vec::new();
        while self.goes_on() {
            let fresh: Vec<(String, String)> =
                (0..=dice(3)).map(|n| message(writer, sent.len() as u64 + n)).collect();
            let old = if dice(8) == 0 { sent.last() } else { None };
            let batch: Vec<&str> = old
                .map(|old| old.json.as_str())
                .into_iter()
                .chain(fresh.iter().map(|new| new.1.as_str()))
                .collect();
            let answer = self.add(&batch).await;
            let mut seqs = answer.seqs();
            if let Some(old) = old {
                assert_eq!(seqs.remove(0), old.seq, "stored once");
            }
            assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a batch stays together: {seqs:?}");
            assert!(
                sent.last().is_none_or(|last| last.seq < seqs[0]),
                "a writer's messages keep their order"
            );
            if dice(8) == 0 {
                assert_eq!(self.add(&batch).await.messages(), answer.messages(), "a retry returns the same");
                count(&self.counts.repeats, true);
            }
            sent.extend(seqs.into_iter().zip(fresh).map(|(seq, (id, json))| Sent { seq, id, json }));
            tokio::time::sleep(Duration::from_millis(dice(50))).await;
        }
        sent
    }

    /// Reads in every way there is. Those that come from Postgres hear of a write before it is published.
    async fn read(&self) {
        while self.goes_on() {
            match dice(8) {
                0..4 => self.read_messages("").await,
                4..6 => self.read_messages("&before=999999999").await,
                6 => self.read_conversation(C, "").await,
                _ => self.read_conversation("/v1/conversations", "/data/0").await,
            }
        }
    }

    async fn read_messages(&self, range: &str) {
        let (limit, known) = (1 + i64::try_from(dice(100)).unwrap(), self.known());
        let ticket = if dice(4) == 0 { format!("&min_version={}", known[1].1) } else { String::new() };
        let Some(answer) = self.answer(&format!("{MESSAGES}?limit={limit}{range}{ticket}")).await else {
            return;
        };
        let seqs = self.compare(&answer);
        let last = *seqs.last().unwrap();
        let whole: Vec<i64> = ((last - limit + 1).max(1)..=last).collect();
        assert_eq!(seqs, whole, "limit {limit}, {:?}", answer.cache_status);
        assert!(answer.text.contains(&format!("\"has_more\":{},", last > limit)));
        // Messages come without their version.
        self.must_know(&answer, (last, 0), known.map(|(seq, _)| (seq, 0)));
    }

    async fn read_conversation(&self, path: &str, at: &str) {
        let known = self.known();
        let Some(answer) = self.answer(path).await else { return };
        let number = |name| answer.number(&format!("{at}/{name}"));
        self.must_know(&answer, (number("message_count"), number("version")), known);
    }

    async fn answer(&self, path: &str) -> Option<Answer> {
        let answer = self.api.get(path).await;
        count(&self.counts.reads, true);
        count(&self.counts.hits, answer.is_hit());
        count(&self.counts.unavailable, answer.status == 503);
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        (answer.status == 200).then_some(answer)
    }
}

/// The position in a message as it is answered; parsing all of it would be most of the test's work.
fn seq_of(message: &str) -> i64 {
    message.strip_prefix("{\"seq\":").unwrap().split(',').next().unwrap().parse().unwrap()
}

/// A writer's message: its id, and JSON that no parser and printer leaves as it is.
fn message(writer: usize, n: u64) -> (String, String) {
    let (id, text) = (format!("w{writer}-{n}"), "\\u00e9 \u{e9} ".repeat(usize::try_from(dice(30)).unwrap()));
    let json = format!(r#"{{ "role": "user","id":"{id}", "content":"{text}","n":{n}.0}}"#);
    (id, json)
}

/// All of the conversation, oldest first, read by pages from either end.
async fn pages(api: &Api, forward: bool) -> Vec<String> {
    let side = if forward { "after" } else { "before" };
    let (mut pages, mut from) = (Vec::new(), if forward { 0 } else { i64::MAX });
    loop {
        let page = api.get(&format!("{MESSAGES}?limit=100&{side}={from}")).await;
        pages.push(page.messages());
        from = page.number(&format!("/{side}"));
        if page.json()["has_more"] == json!(false) {
            break;
        }
    }
    if !forward {
        pages.reverse();
    }
    pages.concat()
}

/// Postgres holds what was acknowledged, once each, at the positions that were returned to the writers; all of it, as answered.
async fn stored(stack: &Stack, crowd: &Crowd, sent: Vec<Sent>) -> Vec<String> {
    let sent: BTreeMap<i64, (String, String)> =
        sent.into_iter().map(|Sent { seq, id, json }| (seq, (id, json))).collect();
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("select seq, message_id, body::text from messages order by seq")
            .fetch_all(&mut stack.postgres().await)
            .await
            .unwrap();
    assert!(
        rows.iter().map(|row| row.0).eq(1..=i64::try_from(sent.len()).unwrap()),
        "no gaps, and no others"
    );
    assert!(rows.into_iter().map(|(seq, id, json)| (seq, (id, json))).eq(sent));
    let all = pages(&crowd.api, true).await;
    let returned = crowd.returned.lock().unwrap();
    assert_eq!(all.len(), returned.len());
    assert!(
        (1..).zip(&all).all(|(seq, message)| returned[&seq] == *message),
        "nobody was returned anything else"
    );
    all
}

/// Redis holds the last hundred, to the byte.
async fn assert_cached(stack: &Stack, crowd: &Crowd, all: &[String]) {
    // A write that could not be published leaves its intent, and what it lacks is filled in when that is presumed dead.
    for _ in 0..60 {
        if crowd.api.get(MESSAGES).await.is_hit() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let numbered: Vec<String> =
        (1..).zip(all).map(|(seq, message): (i64, _)| format!("{seq} {message}")).collect();
    let last = numbered.len().saturating_sub(100);
    let cached: Vec<String> = stack.redis().await.lrange(WINDOW, 0, -1).await.unwrap();
    assert_eq!(cached, numbered[last..]);
    let recent = crowd.api.get(MESSAGES).await;
    assert!(recent.is_hit(), "{:?}", recent.cache_status);
    assert_eq!(recent.messages(), all[last..]);
}

async fn a_crowd_on_one_conversation_loses_nothing_and_reads_nothing_stale(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let crowd = Arc::new(Crowd::new(stack.api().await));
    let (id, json) = message(WRITERS, 0);
    let seq = crowd.add(&[&json]).await.seqs()[0];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move { crowd.write(writer).await })
        })
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move { crowd.read().await })
        })
        .collect();
    let mut sent = vec![Sent { seq, id, json }];
    for writer in writers {
        sent.extend(writer.await.unwrap());
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let all = stored(&stack, &crowd, sent).await;
    report(&format!("{} messages: {:?}", all.len(), crowd.counts));
    let [reads, hits] = [&crowd.counts.reads, &crowd.counts.hits].map(|count| count.load(Ordering::Relaxed));
    assert!(hits > 0 && hits < reads, "only hits or only misses prove little");
    assert_cached(&stack, &crowd, &all).await;
    assert_eq!(pages(&crowd.api, false).await, all);
}
