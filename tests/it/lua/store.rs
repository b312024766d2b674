//! The scripts on a real server, with one conversation's keys.

use std::collections::BTreeMap;

use conversation_local::Valkey;
use conversation_model::entry::{Epoch, Intent, News, Replid, Seq, Token, Version};
use redis::{Commands as _, Connection, Script, ScriptInvocation};

/// The number that the model has for the server's replication id; any other is another server's.
pub(super) const HERE: Replid = 1;

const ENTRY: &str = "entry{c}";
const WINDOW: &str = "window{c}";
const TTL: u64 = 604_800_000;
const LEASED_TTL: u64 = 10_000;
const VALIDITY: u64 = 3_600_000;
const UNIDENTIFIED_VALIDITY: u64 = 30_000;
const PRESUMED_DEAD: u64 = 5_000;
/// What the clocks of callers say: those that are right, and one that takes any validity marker for due.
const NOW: u64 = 1_800_000_000_000;
const OFF: u64 = NOW + VALIDITY + 1;

macro_rules! script {
    ($($file:literal),+) => {
        Script::new(concat!(
            include_str!("../../../core/src/cache/scripts/prelude.lua"),
            $(include_str!(concat!("../../../core/src/cache/scripts/", $file))),+
        ))
    };
}

/// granted, epoch, version, valid, dead intents, live intents, the intents' fields
pub(super) type LeaseReply = (bool, String, String, bool, usize, usize, Vec<String>);

/// epoch, valid, complete, replid
pub(super) type BeginReply = (String, bool, bool, String);

struct Scripts {
    begin: Script,
    publish: Script,
    lease: Script,
    fill: Script,
    write_tombstone: Script,
    drop: Script,
    withdraw: Script,
}

pub(super) struct Store {
    connection: Connection,
    scripts: Scripts,
    replid: String,
    // Stopped when dropped.
    _valkey: Valkey,
}

pub(super) struct Keys {
    pub(super) entry: BTreeMap<String, String>,
    pub(super) window: Vec<String>,
    /// Whether neither would stay for ever.
    pub(super) expire: bool,
}

impl Store {
    pub(super) fn start() -> Self {
        let valkey = conversation_tests::valkey(&[]);
        let client = redis::Client::open(valkey.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let info: String = redis::cmd("INFO").arg("replication").query(&mut connection).unwrap();
        let replid = info.lines().find_map(|line| line.strip_prefix("master_replid:")).unwrap().to_owned();
        let scripts = Scripts {
            begin: script!("begin.lua"),
            publish: script!("window.lua", "publish.lua"),
            lease: script!("lease.lua"),
            fill: script!("window.lua", "fill.lua"),
            write_tombstone: script!("write_tombstone.lua"),
            drop: script!("drop.lua"),
            withdraw: script!("withdraw.lua"),
        };
        Self { connection, scripts, replid, _valkey: valkey }
    }

    pub(super) fn clear(&mut self) {
        redis::cmd("FLUSHALL").exec(&mut self.connection).unwrap();
    }

    pub(super) fn begin(
        &mut self,
        intent: Intent,
        hint: Option<Epoch>,
        over: &[Intent],
        due: bool,
    ) -> BeginReply {
        let mut call = prepare_at(&self.scripts.begin, TTL, if due { OFF } else { NOW });
        call.arg(field(intent)).arg(optional(hint));
        for intent in over {
            call.arg(field(*intent));
        }
        call.invoke(&mut self.connection).unwrap()
    }

    pub(super) fn place_intent(&mut self, intent: Intent) {
        let mut both = redis::pipe();
        both.atomic().hset(ENTRY, field(intent), NOW).ignore().cmd("PEXPIRE").arg(ENTRY).arg(TTL).ignore();
        let () = both.query(&mut self.connection).unwrap();
    }

    pub(super) fn publish(&mut self, intent: Intent, replid: Replid, news: &News) -> String {
        let mut call = prepare(&self.scripts.publish, TTL);
        call.arg(field(intent)).arg(self.name(replid));
        push_news(&mut call, news, &[]);
        call.invoke(&mut self.connection).unwrap()
    }

    /// By a reader that saw the validity marker which stands. Any other is refused, which touches nothing.
    pub(super) fn lease(&mut self, token: Token, due: bool) -> LeaseReply {
        let seen: Option<String> = self.connection.hget(ENTRY, "validated_at").unwrap();
        let mut call = prepare_at(&self.scripts.lease, LEASED_TTL, if due { OFF } else { NOW });
        call.arg(token).arg(PRESUMED_DEAD).arg(seen.unwrap_or_default()).invoke(&mut self.connection).unwrap()
    }

    pub(super) fn fill(&mut self, token: Token, seen: &[Intent], news: &News) -> String {
        let mut call = prepare(&self.scripts.fill, TTL);
        call.arg(token);
        let intents = seen.iter().map(|intent| field(*intent));
        push_news(&mut call, news, &[vec![seen.len().to_string()], intents.collect()].concat());
        call.invoke(&mut self.connection).unwrap()
    }

    pub(super) fn write_tombstone(&mut self, version: Version) {
        let () =
            prepare(&self.scripts.write_tombstone, TTL).arg(version).invoke(&mut self.connection).unwrap();
    }

    pub(super) fn drop_ahead(&mut self, seen: Option<Epoch>) -> bool {
        prepare(&self.scripts.drop, TTL).arg(optional(seen)).invoke(&mut self.connection).unwrap()
    }

    pub(super) fn withdraw(&mut self, intent: Intent) {
        let () =
            prepare(&self.scripts.withdraw, TTL).arg(field(intent)).invoke(&mut self.connection).unwrap();
    }

    pub(super) fn release(&mut self) {
        let () = self.connection.hdel(ENTRY, &["lease", "leased"]).unwrap();
    }

    pub(super) fn evict(&mut self, entry: bool, window: bool) {
        for (key, goes) in [(ENTRY, entry), (WINDOW, window)] {
            if goes {
                let () = self.connection.del(key).unwrap();
            }
        }
    }

    /// Leaves the entry as another server has written it.
    pub(super) fn fail_over(&mut self) {
        self.change_if_there("replid", &self.name(0));
    }

    /// Makes a time one that is long past.
    pub(super) fn age(&mut self, field: &str) {
        self.change_if_there(field, "1");
    }

    fn change_if_there(&mut self, field: &str, value: &str) {
        if self.connection.hexists(ENTRY, field).unwrap() {
            let () = self.connection.hset(ENTRY, field, value).unwrap();
        }
    }

    /// Both keys: the entry with a word for each time, and the window.
    pub(super) fn keys(&mut self) -> Keys {
        let mut reads = redis::pipe();
        reads.hgetall(ENTRY).lrange(WINDOW, 0, -1).pttl(ENTRY).pttl(WINDOW);
        let (mut entry, window, of_entry, of_window): (BTreeMap<String, String>, _, i64, i64) =
            reads.query(&mut self.connection).unwrap();
        entry.remove("bytes");
        for (field, value) in &mut entry {
            if field == "validated_at" || field == "leased" || field.starts_with("intent:") {
                *value = word(value);
            }
        }
        Keys { entry, window, expire: of_entry != -1 && of_window != -1 }
    }

    /// What the server calls itself, or another.
    pub(super) fn name(&self, replid: Replid) -> String {
        if replid == HERE { self.replid.clone() } else { format!("{replid:040}") }
    }
}

fn prepare(script: &Script, ttl: u64) -> ScriptInvocation<'_> {
    prepare_at(script, ttl, NOW)
}

fn prepare_at(script: &Script, ttl: u64, now: u64) -> ScriptInvocation<'_> {
    let mut call = script.prepare_invoke();
    call.key(ENTRY).key(WINDOW).arg(ttl).arg(now).arg(VALIDITY).arg(UNIDENTIFIED_VALIDITY).arg(1);
    call
}

/// What publish and fill say of the row; what fill says beside stands before the elements.
fn push_news(call: &mut ScriptInvocation<'_>, news: &News, intents: &[String]) {
    let facts = news.facts;
    call.arg(news.epoch)
        .arg(u8::from(news.took_epoch))
        .arg(facts.version)
        .arg(facts.first)
        .arg(facts.count)
        .arg(facts.metadata)
        .arg(intents);
    for seq in &news.elements {
        call.arg(element(*seq));
    }
}

pub(super) fn field(intent: Intent) -> String {
    format!("intent:{}:{}", intent.operation, intent.attempt)
}

pub(super) fn element(seq: Seq) -> String {
    format!("{seq} {{\"seq\":{seq}}}")
}

pub(super) fn optional<T: ToString>(number: Option<T>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn word(time: &str) -> String {
    match time.parse::<u64>() {
        Ok(1) => "past".into(),
        Ok(NOW) => "now".into(),
        // Only a clock that is off writes that down: of a lease, or of an intent.
        Ok(OFF) => "off".into(),
        _ => time.to_owned(),
    }
}
