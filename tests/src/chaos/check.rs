//! Holds what readers saw against what Postgres wrote down.
//!
//! Every change of a conversation has a version, in the order in which Postgres made it. A read is right if what it saw
//! is the state at some version, and that version is not older than what was already known when the read began:
//! acknowledged to a writer, or seen by a reader whose read was over. With the order given, that is a running maximum
//! and a binary search.

use std::collections::{BTreeMap, HashMap};

use conversation_core::CacheUpdate;
use sqlx::{PgConnection, Row as _};

use crate::Broken;

use super::failovers::Failovers;
use super::record::{Conversation, Named, Read, Record, Sight, Wrote, hash_of, sight};

/// The states of one conversation, by version; version 0: it does not exist.
#[derive(Debug)]
struct Truth {
    states: Vec<State>,
    /// The versions at which a reader sees the same.
    seen_at: HashMap<Sight, Vec<i64>>,
    /// How often a message of this id was added.
    added: HashMap<String, u32>,
}

#[derive(Debug)]
struct State {
    /// The newest version up to this one that readers have to see once somebody knows of it: not one whose writer could
    /// not tell the cache.
    binding: i64,
    /// When the write of this version began, if it was acknowledged.
    began: u64,
}

/// What a reader must not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Of which conversation.
    pub conversation: String,
    /// What, and why not.
    pub what: String,
}

/// What became of a run's reads.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Reads that were held against the history.
    pub(super) checked: usize,
    /// Reads of what was before, which a failover that nobody could see excuses.
    pub(super) excused: usize,
    pub(super) violations: Vec<Violation>,
}

/// Holds every read against the history. `strict`: nothing is excused because a cache update was deferred.
pub(super) async fn check(
    records: &[Record],
    connection: &mut PgConnection,
    strict: bool,
    failovers: &Failovers,
) -> Result<Verdict, Broken> {
    let mut verdict = Verdict::default();
    let mut truths = load(connection, strict, &mut verdict.violations).await?;
    conditions_held(records, &truths, &mut verdict.violations);
    for record in records {
        let Record::Wrote(write) = record else { continue };
        if let Some(what) = truths.get(&write.conversation).and_then(|truth| truth.lost(write)) {
            verdict.violations.push(Violation { conversation: write.conversation.to_string(), what });
        }
        if let Some(state) = state_mut(&mut truths, write.conversation, write.version) {
            state.began = write.began.unwrap_or(0);
        }
    }
    let mut by_conversation: BTreeMap<Conversation, Vec<&Read>> = BTreeMap::new();
    for record in records {
        if let Record::Read(read) = record {
            by_conversation.entry(read.conversation).or_default().push(read);
        }
    }
    for (conversation, mut reads) in by_conversation {
        reads.sort_unstable_by_key(|read| read.ended);
        let unborn = Truth::unborn();
        let truth = truths.get(&conversation).unwrap_or(&unborn);
        let known = truth.known(records, conversation);
        verdict.checked += reads.len();
        truth.judge(conversation, &reads, known, failovers, &mut verdict);
    }
    Ok(verdict)
}

/// Of the writes that depend on one version of a conversation one is done, and nothing of one that was refused is stored.
fn conditions_held(
    records: &[Record],
    truths: &HashMap<Conversation, Truth>,
    violations: &mut Vec<Violation>,
) {
    let mut won: HashMap<(Conversation, i64), usize> = HashMap::new();
    let mut violated = |conversation: Conversation, what| {
        violations.push(Violation { conversation: conversation.to_string(), what });
    };
    for record in records {
        match record {
            Record::Wrote(Wrote {
                conversation, version, expected: Some(expected), began, added, ..
            }) => {
                // Where there was nothing to do, nothing was done.
                if !added.is_empty() || began.is_some() {
                    *won.entry((*conversation, *expected)).or_default() += 1;
                }
                // Of a first attempt the version is that of the write itself.
                if began.is_some() && *version != expected + 1 {
                    violated(*conversation, format!("a write at version {expected} made version {version}"));
                }
            }
            Record::Mismatched { conversation, ids } => {
                let stored = |id: &&String| {
                    truths.get(conversation).is_some_and(|truth| truth.added.contains_key(*id))
                };
                if let Some(id) = ids.iter().find(stored) {
                    violated(*conversation, format!("{id} was refused and stored"));
                }
            }
            _ => {}
        }
    }
    for ((conversation, expected), writes) in won {
        if writes > 1 {
            violated(conversation, format!("{writes} writes were done at version {expected}"));
        }
    }
}

fn state_mut(
    truths: &mut HashMap<Conversation, Truth>,
    conversation: Conversation,
    version: i64,
) -> Option<&mut State> {
    truths.get_mut(&conversation)?.states.get_mut(usize::try_from(version).ok()?)
}

/// From when on a version is known: its time and the running maximum up to then.
type Known = Vec<(u64, i64)>;

impl Truth {
    fn unborn() -> Self {
        let state = State { binding: 0, began: 0 };
        Self {
            states: vec![state],
            seen_at: HashMap::from([(Sight::Nothing, vec![0])]),
            added: HashMap::new(),
        }
    }

    fn push(&mut self, sights: [Sight; 3], binds: bool) {
        let version = i64::try_from(self.states.len()).unwrap_or(i64::MAX);
        let binding = if binds { version } else { self.binding(version - 1) };
        self.states.push(State { binding, began: 0 });
        let mut sights = sights.to_vec();
        sights.dedup();
        for sight in sights {
            self.seen_at.entry(sight).or_default().push(version);
        }
    }

    /// What an acknowledged write did that Postgres knows nothing of, or did twice.
    fn lost(&self, write: &Wrote) -> Option<String> {
        if write.version > self.newest() {
            return Some(format!("version {} was acknowledged and never was", write.version));
        }
        let times = |id: &String| self.added.get(id).copied().unwrap_or(0);
        let wrong = write.added.iter().find(|id| times(id) != 1)?;
        Some(format!("{wrong} was acknowledged and stored {} times", times(wrong)))
    }

    fn binding(&self, version: i64) -> i64 {
        usize::try_from(version).ok().and_then(|at| self.states.get(at)).map_or(0, |state| state.binding)
    }

    fn newest(&self) -> i64 {
        i64::try_from(self.states.len()).unwrap_or(i64::MAX) - 1
    }

    /// What writers and sweeps made known.
    fn known(&self, records: &[Record], conversation: Conversation) -> Known {
        let mut known = Vec::new();
        let mut owed = Vec::new();
        for record in records {
            match record {
                Record::Wrote(write) if write.conversation == conversation => {
                    known.push((write.ended, self.binding(write.version)));
                    if write.cache_update == CacheUpdate::Applied {
                        known.push((write.ended, write.version));
                    } else if write.cache_update == CacheUpdate::Deferred {
                        owed.push((write.ended, write.version));
                    }
                }
                Record::Deleted { conversation: deleted, cache_update, ended }
                    if *deleted == conversation =>
                {
                    known.push((*ended, self.binding(self.newest())));
                    if *cache_update == CacheUpdate::Deferred {
                        owed.push((*ended, self.newest()));
                    } else {
                        known.push((*ended, self.newest()));
                    }
                }
                _ => {}
            }
        }
        for record in records {
            if let Record::Swept { began, ended } = *record {
                let paid = owed.iter().filter(|(noted, _)| *noted < began);
                known.extend(paid.map(|(_, version)| (ended, *version)));
            }
        }
        known
    }

    /// Reads come in the order in which they ended, so that whatever a read must know is known when its turn comes.
    fn judge(
        &self,
        conversation: Conversation,
        reads: &[&Read],
        mut known: Known,
        failovers: &Failovers,
        verdict: &mut Verdict,
    ) {
        known.sort_unstable();
        let mut cache_update = known.into_iter().peekable();
        let mut maxima: Known = vec![(0, 0)];
        for read in reads {
            while let Some((at, version)) = cache_update.next_if(|(at, _)| *at <= read.ended) {
                raise(&mut maxima, at, version);
            }
            let floor = maxima[maxima.partition_point(|(at, _)| *at < read.began) - 1].1;
            let least = floor.max(read.min_version.unwrap_or(0));
            match self.version_of(read, least) {
                Ok(version) => raise(&mut maxima, read.ended, self.binding(version)),
                Err(_) if self.is_excused(read, least, failovers) => verdict.excused += 1,
                Err(what) => {
                    verdict.violations.push(Violation { conversation: conversation.to_string(), what });
                }
            }
        }
    }

    /// Whether a failover explains that a read did not see `least`; what its caller had seen it has to see all the same.
    fn is_excused(&self, read: &Read, least: i64, failovers: &Failovers) -> bool {
        let missed = usize::try_from(least).ok().and_then(|at| self.states.get(at));
        missed.is_some_and(|missed| failovers.excuse(read, missed.began))
            && self.version_of(read, read.min_version.unwrap_or(0)).is_ok()
    }

    /// The oldest version not below `least` at which that could be seen.
    fn version_of(&self, read: &Read, least: i64) -> Result<i64, String> {
        let versions = self.seen_at.get(&read.sight).map(Vec::as_slice).unwrap_or_default();
        let possible =
            |version: &&i64| usize::try_from(**version).is_ok_and(|at| self.states[at].began <= read.ended);
        if let Some(version) = versions.iter().filter(possible).find(|version| **version >= least) {
            return Ok(*version);
        }
        let Read { began, ended, source, min_version, .. } = read;
        let ticket = min_version.map(|ticket| format!(", with a ticket for {ticket}")).unwrap_or_default();
        let saw = match versions {
            [] => "what never was".to_owned(),
            versions => format!("version {versions:?}"),
        };
        let newest = self.newest();
        Err(format!(
            "a read from {began} to {ended} ns{ticket} saw {saw} where {least} was known ({newest} in all, {source:?})"
        ))
    }
}

/// Notes that from `at` on `version` is known, if that is news.
fn raise(maxima: &mut Known, at: u64, version: i64) {
    if maxima.last().is_none_or(|(_, known)| version > *known) {
        maxima.push((at, version));
    }
}

/// Reads the history from Postgres.
async fn load(
    connection: &mut PgConnection,
    strict: bool,
    violations: &mut Vec<Violation>,
) -> Result<HashMap<Conversation, Truth>, Broken> {
    let mut keys: HashMap<String, i64> = HashMap::new();
    let mut truths: HashMap<i64, (Conversation, Truth)> = HashMap::new();
    let mut windows: HashMap<i64, Vec<Named>> = HashMap::new();
    let mut added: HashMap<i64, HashMap<String, u32>> = HashMap::new();
    let query = "select conversation, seq, message_id, version, conversation_id, title, gone, has_intent,
        cut_after, cut_until, forked_from, forked_at from history order by at";
    for row in sqlx::query(query).fetch_all(connection).await? {
        let key: i64 = row.try_get("conversation")?;
        let window = windows.entry(key).or_default();
        if let Some(seq) = row.try_get::<Option<i64>, _>("seq")? {
            match row.try_get::<Option<String>, _>("message_id")? {
                Some(id) => {
                    *added.entry(key).or_default().entry(id.clone()).or_default() += 1;
                    window.push((seq, id));
                }
                None => window.retain(|(other, _)| *other != seq),
            }
            continue;
        }
        let (cut_after, cut_until): (i64, i64) = (row.try_get("cut_after")?, row.try_get("cut_until")?);
        window.retain(|(seq, _)| *seq <= cut_after || *seq > cut_until);
        let conversation = parse(row.try_get("conversation_id")?)?;
        keys.insert(conversation.to_string(), key);
        let (_, truth) = truths.entry(key).or_insert_with(|| (conversation, Truth::unborn()));
        let version: i64 = row.try_get("version")?;
        if version != truth.newest() + 1 {
            return Err(format!("{conversation}: version {version} follows {}", truth.newest()).into());
        }
        if let (1, Some(origin)) = (version, row.try_get::<Option<String>, _>("forked_from")?) {
            // The origin is locked while it is copied: this is how it was.
            let at: i64 = row.try_get("forked_at")?;
            let origin = keys.get(&origin).and_then(|key| windows.get(key)).cloned().unwrap_or_default();
            let copied: Vec<Named> = origin.into_iter().filter(|(seq, _)| *seq <= at).collect();
            if windows.get(&key) != Some(&copied) {
                let what = format!("a fork at {at} has {:?}, and its origin {copied:?}", windows.get(&key));
                violations.push(Violation { conversation: conversation.to_string(), what });
            }
        }
        let window = windows.entry(key).or_default();
        let sights = if row.try_get("gone")? {
            [Sight::Nothing; 3]
        } else {
            let title: Option<String> = row.try_get("title")?;
            let count = i64::try_from(window.len())?;
            [Sight::Row(version, hash_of((title, count))), sight(window, false), sight(window, true)]
        };
        truth.push(sights, strict || row.try_get("has_intent")?);
    }
    for (key, (_, truth)) in &mut truths {
        truth.added = added.remove(key).unwrap_or_default();
    }
    Ok(truths.into_values().collect())
}

fn parse(id: &str) -> Result<Conversation, Broken> {
    let parts = id.strip_prefix('c').and_then(|id| id.split_once('-'));
    let (place, generation) = parts.ok_or("a conversation of somebody else's")?;
    Ok(Conversation { place: place.parse()?, generation: generation.parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(version: i64, expected: i64, id: &str) -> Record {
        Record::Wrote(Wrote {
            conversation: Conversation { place: 0, generation: 0 },
            version,
            cache_update: CacheUpdate::Applied,
            added: vec![id.to_owned()],
            expected: Some(expected),
            began: Some(1),
            ended: 2,
        })
    }

    fn found(records: &[Record]) -> usize {
        let conversation = Conversation { place: 0, generation: 0 };
        let mut truth = Truth::unborn();
        truth.added.insert("a".into(), 1);
        let mut violations = Vec::new();
        conditions_held(records, &HashMap::from([(conversation, truth)]), &mut violations);
        violations.len()
    }

    #[test]
    fn of_conditional_writes_one_is_done_and_nothing_of_a_refused_one_is_stored() {
        let conversation = Conversation { place: 0, generation: 0 };
        let refused = |id: &str| Record::Mismatched { conversation, ids: vec![id.to_owned()] };
        assert_eq!(found(&[wrote(2, 1, "a"), wrote(3, 2, "b"), refused("c")]), 0);
        assert_eq!(found(&[wrote(2, 1, "a"), wrote(2, 1, "b")]), 1, "two at one version");
        assert_eq!(found(&[wrote(3, 1, "a")]), 1, "at another version than it names");
        assert_eq!(found(&[refused("a")]), 1, "refused and stored");
    }
}
