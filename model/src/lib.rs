//! Epoch fencing, the protocol that keeps Redis as fresh as Postgres, as a state machine whose states are searched.
//!
//! `make model` searches every configuration of the [`catalogue`] to its end: every order in which its writers, readers
//! and faults can interleave. Then it takes each [`defence`](defences::Defence) away by itself and searches until it
//! comes to what that one is for: a rule that nothing needs is one too many, and a search that finds nothing without it
//! is one that looks at too little.
//!
//! # What is modelled
//!
//! One conversation, step by step as the implementation has it; and [an owner's conversations](owner), when all of them are erased:
//!
//! | here | there |
//! |---|---|
//! | [`entry`]: the two keys, and a function for each script | `core/src/cache/scripts/*.lua` |
//! | [`lookup`]: the hit check | `core/src/cache/lookup.rs` |
//! | [`row`]: the row, its messages, and a function for each call | `core/sql` |
//! | `writer` | `core/src/store/write.rs` |
//! | `reader` | `core/src/store/read.rs`, `core/src/store/sweep.rs` |
//! | `erasure`: what is left of an erased conversation goes | `core/src/store/sweep.rs` |
//! | [`owner`] | `core/src/store/erase.rs`, `core/sql/erasure.sql` |
//!
//! Beside pending invalidations, the sweep looks for intents of dead writers; what it does about them is a read.
//!
//! A script is one step and so is a transaction, for that is what the stores make of them. Between any two steps
//! anybody else may take theirs, and the [`faults`] of the configuration may happen: processes die, clients ask again,
//! commands and answers are lost, or executed long after their sender gave up, or twice; keys are evicted, one by one; a
//! replica takes over, with what it has of them, which nobody notices where servers do not say who they are; an old primary
//! goes on to serve readers; validity markers expire, and the clocks of callers are off and step back; code that is being
//! rolled out has another cache. A test holds the functions of [`entry`] against the scripts on a real server, with random commands
//! and windows of real length (`tests/it/lua.rs`).
//!
//! # What must hold
//!
//! [What a hit answers is the row](system::EXACT), at every moment: were it older, then somebody could have been
//! answered something newer before, past the cache. A write that could place no intent leaves a pending invalidation; until that is
//! drained, what was true before it may be returned too. An old primary may answer whatever was ever true; and so may anybody
//! after a failover that went unnoticed, until the time has passed for which a validity marker stands there. And
//! [what was validated is whole](system::WHOLE), or the next read would miss for nothing. [Of writes that depend on one
//! version](system::ONE_WINS) one is done. What was erased [stays away](system::STAYS_AWAY), and when all is over,
//! [nothing is left](system::NOTHING_LEFT) of it. A configuration in which
//! [no read ever hits](system::HITS) after a write proves nothing, and fails too.
//!
//! # What is not
//!
//! - More than a handful of processes and faults at a time, or windows longer than three messages.
//! - Time, but for that one: it passes as a whole, when nothing is under way that began before. So the bound after a failover
//!   that goes unnoticed counts from the last command that was under way when it happened, by clocks that agree.
//!   Whether an intent or a lease is old enough to be taken for dead is any reader's choice, at any moment: the protocol
//!   must be right whatever the clocks say, and only waits by them.
//! - How long a command may be under way that was given up, and how far a replica may be behind. What they bring back of an
//!   erased conversation is never answered; it goes with the first read, or after seven days.
//! - That every read is answered in the end, and how soon. So a lease may be refused more often than here, as it is to
//!   a reader whose lookup is older than another reader's refill.
//! - A write that was refused ten times, and then commits without an intent; intents of which some are dead and some not.
//! - A Postgres that loses commits: then the entry is ahead of it, and is dropped.
//! - What the messages say. A message is its position, and the metadata the version that set it.
//!
//! # How to read a counterexample
//!
//! `make model ARGS='--defence own-lease'` prints the shortest sequence of events that goes wrong without a defence; a violation
//! of the protocol itself is printed the same way. Each step says who did what and what came of it, and beneath it is what the
//! step changed. Writes are named A, B, C; `A.1` is the intent of the second attempt of A.
//!
//! ```text
//!     At first
//!       Postgres     epoch 1; version 1, messages 1 2
//!       Redis        epoch 1, valid; version 1, 2 messages from 1; window 1 2
//!   1 Add A sets intent A.0: returns epoch 1, valid
//!       Redis        epoch 1, valid; version 1, 2 messages from 1; window 1 2; intent A.0
//! ```

pub mod catalogue;
pub mod command;
pub mod config;
pub mod defences;
pub mod entry;
mod erasure;
pub mod faults;
pub mod lookup;
pub mod owner;
mod reader;
pub mod row;
pub mod search;
pub mod state;
pub mod story;
pub mod system;
mod words;
mod writer;
