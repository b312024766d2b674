//! The configurations that are searched.

use crate::config::{Config, Role, Start};
use crate::defences::Defence;
use crate::faults::Faults;
use crate::row::{Change, Target};

const ADD: Role = Role::Writer(Change::Add);
const ADD_AGAIN: Role = Role::Again(Change::Add);
const ADD_IF: Role = Role::Writer(Change::AddIf(1));
const REPLACE: Role = Role::Writer(Change::Replace);
const REPLACE_IF: Role = Role::Writer(Change::ReplaceIf(1));
const UPDATE: Role = Role::Writer(Change::Update);
const DELETE: Role = Role::Writer(Change::Delete);
const DELETE_NEWEST: Role = Role::Writer(Change::DeleteMessage(Target::Newest));
const DELETE_EARLIER: Role = Role::Writer(Change::DeleteMessage(Target::BeforeNewest));
const READ: Role = Role::Reader(1);
const READ_TWICE: Role = Role::Reader(2);
const SWEEP: Role = Role::Sweep;
const ERASE: Role = Role::Writer(Change::Erase);
const REMOVAL: Role = Role::Removal;
const NEXT_ADD: Role = Role::NextWriter(Change::Add);
const NEXT_READ: Role = Role::NextReader(1);
const NONE: Faults = Faults::NONE;

fn warm(roles: &[Role], faults: Faults) -> Config {
    Config { faults, ..Config::new(roles) }
}

fn cold(roles: &[Role], faults: Faults) -> Config {
    Config { start: Start::Cold, ..warm(roles, faults) }
}

fn new(roles: &[Role], faults: Faults) -> Config {
    Config { start: Start::New, ..warm(roles, faults) }
}

fn deferring(roles: &[Role], faults: Faults) -> Config {
    Config { defers: true, ..warm(roles, faults) }
}

/// On a service that does not say which of its servers answers.
fn hidden(roles: &[Role], faults: Faults) -> Config {
    Config { hidden: true, ..warm(roles, faults) }
}

/// How much is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The small configurations, some of each kind: seconds.
    Short,
    /// Those of a middling size too: a minute.
    Usual,
    /// Large ones too: minutes.
    Long,
}

/// What is searched.
#[must_use]
pub fn configs(extent: Extent) -> Vec<Config> {
    match extent {
        Extent::Short => small(),
        Extent::Usual => [small(), middling()].concat(),
        Extent::Long => [small(), middling(), large()].concat(),
    }
}

/// Up to some 200,000 states.
fn small() -> Vec<Config> {
    let add = &[ADD, READ, READ];
    let adds = &[ADD, ADD, READ, READ];
    let delete = &[ADD, DELETE, READ, READ];
    vec![
        new(&[ADD, ADD, DELETE, READ, READ], NONE),
        warm(add, Faults { lost: 1, evict: 1, failover: 1, ..NONE }),
        warm(add, Faults { retry: 1, lost: 1, late: 1, expire: 1, ..NONE }),
        warm(add, Faults { crash: 1, evict: 2, expire: 1, ..NONE }),
        warm(add, Faults { resent: 1, evict: 2, ..NONE }),
        warm(adds, Faults { crash: 1, failover: 1, ..NONE }),
        warm(adds, Faults { late: 1, expiries: 1, clock_back: 1, ..NONE }),
        warm(&[ADD, ADD_AGAIN, READ, READ], Faults { late: 1, evict: 1, ..NONE }),
        warm(delete, Faults { lost: 1, failover: 1, ..NONE }),
        warm(&[ADD, DELETE_NEWEST, READ, READ], Faults { evict: 1, ..NONE }),
        warm(&[ADD, ADD, DELETE_EARLIER, READ], Faults { evict: 1, ..NONE }),
        Config { capacity: 3, ..warm(&[ADD, ADD, DELETE_NEWEST, READ], Faults { late: 1, ..NONE }) },
        warm(&[UPDATE, ADD, DELETE_NEWEST, READ], Faults { evict: 1, ..NONE }),
        warm(&[UPDATE, ADD, READ_TWICE], Faults { crash: 1, failover: 1, expire: 1, ..NONE }),
        deferring(&[ADD, UPDATE, READ, SWEEP], Faults { lost: 1, failover: 1, ..NONE }),
        warm(adds, Faults { clock_off: 2, ..NONE }),
        warm(&[ADD, DELETE_NEWEST, READ], Faults { clock_off: 2, evict: 1, ..NONE }),
        hidden(add, Faults { failover: 1, elapse: 1, ..NONE }),
        hidden(&[ADD, ADD, READ], Faults { failover: 1, crash: 1, elapse: 1, ..NONE }),
        warm(&[ADD, READ, NEXT_ADD, NEXT_READ], NONE),
        warm(&[ADD, REPLACE, READ, READ], Faults { evict: 1, ..NONE }),
        Config { capacity: 3, ..warm(&[ADD, ADD, REPLACE, READ], Faults { late: 1, ..NONE }) },
        warm(&[ADD_IF, ADD_IF, READ], Faults { retry: 1, crash: 1, lost: 1, ..NONE }),
        warm(&[ADD_IF, REPLACE_IF, READ, READ], Faults { crash: 1, retry: 1, evict: 1, ..NONE }),
        warm(&[ADD, ERASE, READ, REMOVAL], NONE),
        new(&[ADD, ERASE, READ, READ, REMOVAL], NONE),
        warm(&[ADD, ERASE, READ, REMOVAL], Faults { crash: 1, expire: 1, evict: 1, ..NONE }),
        warm(&[DELETE, ERASE, READ, REMOVAL], Faults { retry: 1, lost: 1, ..NONE }),
        warm(&[ADD, ERASE, READ, REMOVAL], Faults { late: 1, ..NONE }),
    ]
}

/// Up to two million states.
fn middling() -> Vec<Config> {
    let adds = &[ADD, ADD, READ, READ];
    let delete = &[ADD, DELETE, READ, READ];
    vec![
        cold(&[ADD, ADD, DELETE, READ, READ], NONE),
        cold(adds, Faults { evict: 2, ..NONE }),
        warm(adds, Faults { retry: 1, lost: 1, evict: 1, ..NONE }),
        warm(adds, Faults { crash: 1, retry: 1, evict: 1, ..NONE }),
        warm(adds, Faults { evict: 1, expire: 1, ..NONE }),
        warm(adds, Faults { failover: 1, isolated: 1, ticket: 1, ..NONE }),
        warm(&[ADD, ADD, READ], Faults { resent: 1, evict: 2, ..NONE }),
        warm(delete, Faults { lost: 1, late: 1, evict: 1, ..NONE }),
        warm(delete, Faults { crash: 1, retry: 1, lost: 1, evict: 1, ..NONE }),
        warm(&[ADD, DELETE_EARLIER, READ_TWICE], Faults { lost: 1, late: 1, evict: 1, expire: 1, ..NONE }),
        warm(&[UPDATE, UPDATE, ADD, READ], Faults { late: 1, evict: 1, ..NONE }),
        deferring(&[ADD, ADD, READ, READ, SWEEP], Faults { lost: 2, ..NONE }),
        deferring(&[ADD, DELETE, READ, SWEEP], Faults { lost: 2, late: 1, ..NONE }),
        deferring(&[ADD, DELETE_NEWEST, READ, SWEEP], Faults { lost: 1, late: 1, evict: 1, ..NONE }),
        warm(adds, Faults { clock_off: 2, crash: 1, expire: 1, ..NONE }),
        hidden(adds, Faults { failover: 1, elapse: 1, ..NONE }),
        hidden(&[ADD, DELETE_NEWEST, READ], Faults { failover: 1, evict: 1, elapse: 1, ..NONE }),
        warm(&[ADD_IF, REPLACE_IF, ADD, READ], Faults { crash: 1, retry: 1, failover: 1, ..NONE }),
        deferring(&[ADD, REPLACE, READ, SWEEP], Faults { lost: 1, late: 1, evict: 1, ..NONE }),
        hidden(&[ADD, REPLACE, READ], Faults { failover: 1, evict: 1, elapse: 1, ..NONE }),
        warm(&[ADD, READ, NEXT_ADD, NEXT_READ, NEXT_READ], Faults { evict: 1, crash: 1, ..NONE }),
        warm(&[ADD, ADD, ERASE, READ, REMOVAL], Faults { evict: 1, ..NONE }),
        warm(&[ADD, ERASE, READ, READ, REMOVAL], Faults { crash: 1, expire: 1, evict: 1, ..NONE }),
        warm(&[ADD, DELETE, ERASE, READ, REMOVAL], Faults { crash: 1, retry: 1, lost: 1, ..NONE }),
        warm(&[ADD, ERASE, READ_TWICE, REMOVAL], Faults { late: 1, lost: 1, failover: 1, ..NONE }),
        deferring(&[ADD, ERASE, READ, READ, SWEEP, REMOVAL], Faults { lost: 2, ..NONE }),
    ]
}

/// Up to twenty million states.
fn large() -> Vec<Config> {
    let adds = &[ADD, ADD, READ, READ];
    vec![
        warm(&[ADD, ADD, ADD, READ], Faults { crash: 1, evict: 1, expire: 1, ..NONE }),
        warm(&[ADD, ADD, ADD, READ, READ], Faults { evict: 1, ..NONE }),
        warm(adds, Faults { crash: 1, retry: 1, lost: 1, evict: 1, ..NONE }),
        warm(adds, Faults { late: 1, evict: 1, failover: 1, ..NONE }),
        warm(&[ADD, UPDATE, DELETE_NEWEST, READ, READ], Faults { evict: 1, ..NONE }),
        warm(&[ADD, DELETE_NEWEST, READ, READ], Faults { lost: 1, late: 1, evict: 2, ..NONE }),
        warm(&[ADD, ADD, READ_TWICE], Faults { failover: 2, lost: 1, evict: 1, ..NONE }),
        warm(adds, Faults { resent: 1, retry: 1, evict: 2, ..NONE }),
        warm(&[ADD_IF, REPLACE_IF, READ, READ], Faults { crash: 1, retry: 1, lost: 1, evict: 1, ..NONE }),
        warm(&[ADD, REPLACE, READ, READ], Faults { lost: 1, late: 1, evict: 2, ..NONE }),
        deferring(&[ADD, ADD, DELETE_NEWEST, READ, SWEEP], Faults { lost: 1, evict: 1, ..NONE }),
        deferring(&[ADD, DELETE, READ, READ, SWEEP], Faults { lost: 2, evict: 1, ..NONE }),
        warm(&[ADD, ADD, ERASE, READ, READ, REMOVAL], Faults { evict: 1, ..NONE }),
        warm(&[ADD, ADD, ERASE, READ, REMOVAL], Faults { crash: 1, retry: 1, lost: 1, expire: 1, ..NONE }),
    ]
}

/// Where to look for what a defence is for: first where it shows soonest, then everywhere; nowhere, if it is one of another model.
#[must_use]
pub fn showing(defence: Defence) -> Vec<Config> {
    let Some(soonest) = soonest(defence) else { return Vec::new() };
    let others = configs(Extent::Usual).into_iter().filter(|config| *config != soonest);
    let mut configs = vec![soonest.clone()];
    configs.extend(others);
    for config in &mut configs {
        config.defences = config.defences.without(defence);
    }
    configs
}

fn soonest(defence: Defence) -> Option<Config> {
    Some(match defence {
        Defence::EpochCheck
        | Defence::ReaderEpoch
        | Defence::IntentNamesAttempt
        | Defence::ClearsOnlySeen => {
            warm(&[ADD, READ, READ], Faults { retry: 1, lost: 1, late: 1, expire: 1, ..NONE })
        }
        Defence::OwnLease | Defence::NewerEpochInvalidates | Defence::HasCount => {
            warm(&[ADD, READ, READ], Faults { crash: 1, evict: 2, expire: 1, ..NONE })
        }
        Defence::FreshOnResend => warm(&[ADD, READ, READ], Faults { resent: 1, evict: 2, ..NONE }),
        Defence::WarmDoesNotValidate => {
            warm(&[ADD, ADD, READ, READ], Faults { crash: 1, retry: 1, evict: 1, ..NONE })
        }
        Defence::WriterEpoch => warm(&[ADD, ADD, READ, READ], Faults { crash: 1, failover: 1, ..NONE }),
        Defence::ReplicationId => warm(&[ADD, READ, READ], Faults { lost: 1, evict: 1, failover: 1, ..NONE }),
        Defence::DeletionEpoch | Defence::OwnIntent | Defence::NewerEpochWins => {
            warm(&[ADD, DELETE_NEWEST, READ, READ], Faults { evict: 1, ..NONE })
        }
        Defence::ReplacementEpoch | Defence::ReplacementWindow => {
            warm(&[ADD, REPLACE, READ, READ], Faults { evict: 1, ..NONE })
        }
        Defence::VersionInCommit | Defence::DuplicateBeforeVersion => {
            warm(&[ADD_IF, ADD_IF, READ], Faults { retry: 1, crash: 1, lost: 1, ..NONE })
        }
        Defence::DropsBeforeFirst => warm(&[ADD, ADD, DELETE_EARLIER, READ], Faults { evict: 1, ..NONE }),
        Defence::NewestFacts | Defence::Replaces => {
            Config { capacity: 3, ..warm(&[ADD, ADD, DELETE_NEWEST, READ], Faults { late: 1, ..NONE }) }
        }
        Defence::InvalidationByVersion => {
            deferring(&[ADD, DELETE_NEWEST, READ, SWEEP], Faults { lost: 1, late: 1, evict: 1, ..NONE })
        }
        Defence::ShortValidity => hidden(&[ADD, READ, READ], Faults { failover: 1, elapse: 1, ..NONE }),
        Defence::GenerationOfCommit | Defence::GenerationOfReader => {
            warm(&[ADD, READ, NEXT_ADD, NEXT_READ], NONE)
        }
        Defence::IntentBeforeErasure
        | Defence::ErasedIds
        | Defence::UnlinksErased
        | Defence::SettlesFirst
        | Defence::ErasedIsAbsent
        | Defence::DropsAbsent => warm(&[ADD, ERASE, READ, REMOVAL], NONE),
        _ => return None,
    })
}
