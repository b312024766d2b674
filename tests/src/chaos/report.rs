//! What a run shows.

use std::collections::BTreeMap;
use std::fmt;

use conversation_core::{CacheUpdate, Source};

use super::check::{Verdict, Violation};
use super::faults::Fault;
use super::options::{Options, Protocol};
use super::record::{Read, Record, Sight, Wrote};

/// How often something happened.
pub type Count = BTreeMap<String, usize>;

/// What a run shows.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was tried.
    pub options: Options,
    /// Reads that were held against the history.
    pub checked: usize,
    /// How many of them came from the cache.
    pub hits: usize,
    /// How many of them were told that nothing has changed.
    pub unchanged: usize,
    /// The others, by their reason; and `gone`: the cache knew that there is no such conversation.
    pub reasons: Count,
    /// Acknowledged writes by what the cache knew of them, and operations that failed as they may.
    pub writes: Count,
    /// How often each fault came.
    pub faults: BTreeMap<Fault, u32>,
    /// How many reads of what was before a failover excuses, where servers do not say who they are.
    pub excused: usize,
    /// What readers must not see.
    pub violations: Vec<Violation>,
    /// Errors that no fault excuses.
    pub odd: Vec<String>,
}

/// Every reason for which a read may go past the cache, and the one for which it need not.
const REASONS: [&str; 9] = [
    "cold",
    "expired",
    "failover",
    "write-pending",
    "gap",
    "gone",
    "min-version",
    "not-validated",
    "unreachable",
];

/// What an erasure is called among the writes.
const ERASED: &str = "an owner's data erased";

impl Report {
    pub(super) fn new(
        options: &Options,
        records: &[Record],
        faults: BTreeMap<Fault, u32>,
        verdict: Verdict,
    ) -> Self {
        let mut report = Self {
            options: options.clone(),
            checked: verdict.checked,
            hits: 0,
            unchanged: 0,
            reasons: Count::new(),
            writes: Count::new(),
            faults,
            excused: verdict.excused,
            violations: verdict.violations,
            odd: Vec::new(),
        };
        for record in records {
            report.count(record);
        }
        report
    }

    fn count(&mut self, record: &Record) {
        if let Record::Read(Read { unchanged: true, .. }) = record {
            self.unchanged += 1;
        }
        match record {
            Record::Read(Read { source: Source::Hit | Source::BoundedHit, sight, .. }) => {
                self.hits += 1;
                if *sight == Sight::Nothing {
                    *self.reasons.entry("gone".into()).or_default() += 1;
                }
            }
            Record::Read(Read { source: Source::Miss { reason, .. }, .. }) => {
                *self.reasons.entry(reason.to_string()).or_default() += 1;
            }
            Record::Read(_) | Record::Swept { .. } | Record::FailedOver { .. } => {}
            Record::Mismatched { .. } => {
                *self.writes.entry("refused at another version".into()).or_default() += 1;
            }
            Record::Wrote(Wrote { expected: Some(_), .. }) => {
                *self.writes.entry("done at its version".into()).or_default() += 1;
            }
            Record::Wrote(write) => *self.writes.entry(name_of(write.cache_update).into()).or_default() += 1,
            Record::Deleted { cache_update: how, .. } => {
                *self.writes.entry(name_of(*how).into()).or_default() += 1;
            }
            Record::Erased => *self.writes.entry(ERASED.into()).or_default() += 1,
            Record::Failed(what) => *self.writes.entry(format!("{what} failed")).or_default() += 1,
            Record::Odd(what) => self.odd.push(what.clone()),
        }
    }

    /// Whether every read was right and nothing odd happened.
    pub fn is_right(&self) -> bool {
        self.violations.is_empty() && self.odd.is_empty()
    }

    /// What the run did not come by, without which it shows little: faults, reasons for misses, hits.
    pub fn missing(&self) -> Vec<String> {
        if self.options.protocol != Protocol::EpochFencing {
            return Vec::new();
        }
        let faults = Fault::ALL.iter().filter(|fault| !self.faults.contains_key(fault));
        let mut missing: Vec<String> = faults.map(|fault| format!("the fault '{fault}'")).collect();
        let hidden = |reason: &str| reason == "failover" && self.options.profile.hides_servers();
        let reasons = REASONS.iter().filter(|reason| !self.reasons.contains_key(**reason) && !hidden(reason));
        missing.extend(reasons.map(|reason| format!("a read for which the cache was '{reason}'")));
        for wanted in ["refused at another version", "done at its version"] {
            if !self.writes.contains_key(wanted) {
                missing.push(format!("a conditional write that was {wanted}"));
            }
        }
        if !self.writes.contains_key(ERASED) {
            missing.push("an erasure".into());
        }
        if self.unchanged == 0 {
            missing.push("a poll that was told that nothing has changed".into());
        }
        if self.hits * 2 < self.checked {
            missing.push("enough hits: fewer than half of the reads were".into());
        }
        missing
    }
}

fn name_of(cache_update: CacheUpdate) -> &'static str {
    match cache_update {
        CacheUpdate::Applied => "published",
        CacheUpdate::Pending => "pending",
        CacheUpdate::Deferred => "owed",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults")?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {fault:<44} {count:>9}")?;
        }
        for (title, counts) in
            [("writes", &self.writes), ("reads past the cache, and of what is gone", &self.reasons)]
        {
            writeln!(f, "{title}")?;
            for (what, count) in counts {
                writeln!(f, "  {what:<44} {count:>9}")?;
            }
        }
        writeln!(f, "{:<46} {:>9}", "reads checked", self.checked)?;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let share = self.hits as f64 * 100.0 / self.checked.max(1) as f64;
        writeln!(f, "{:<46} {:>9}  {share:.1} %", "hits", self.hits)?;
        writeln!(f, "{:<46} {:>9}", "told that nothing has changed", self.unchanged)?;
        if self.options.profile.hides_servers() {
            writeln!(f, "{:<46} {:>9}", "excused by a failover that nobody could see", self.excused)?;
        }
        writeln!(f, "{:<46} {:>9}", "violations", self.violations.len())?;
        for Violation { conversation, what } in self.violations.iter().take(5) {
            writeln!(f, "  {conversation}: {what}")?;
        }
        for odd in self.odd.iter().take(5) {
            writeln!(f, "  odd: {odd}")?;
        }
        if self.is_right() && self.checked > 0 {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let bound = 3.0 / self.checked as f64;
            writeln!(f, "With 95 % confidence fewer than {bound:.1e} of such reads are wrong.")?;
        }
        Ok(())
    }
}
