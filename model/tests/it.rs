//! The protocol's states searched, as far as a test can.
#![allow(missing_docs, reason = "tests say what they show by their names")]
#![allow(clippy::panic, reason = "this is how a test fails")]

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use conversation_model::catalogue::{Extent, configs, showing};
use conversation_model::config::{Config, Role};
use conversation_model::defences::Defence;
use conversation_model::search::{Found, miss, search, shortest};
use conversation_model::story::tell;

#[test]
fn nothing_stale_is_ever_answered() {
    let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    for config in configs(Extent::Short) {
        let found = search(&config, threads);
        if let Some(violation) = &found.violation {
            panic!("{config}: not so: {}\n\n{}", violation.property, tell(&config, violation));
        }
        assert!(found.hits, "{config}: nothing is ever answered from the cache");
    }
}

#[test]
fn every_defence_is_needed() {
    for defence in Defence::ALL {
        let Some((config, _)) = miss(*defence) else { panic!("nothing goes wrong without {defence}") };
        assert_eq!(
            Some(&config),
            showing(*defence).first(),
            "{defence}: another configuration shows it sooner"
        );
    }
}

#[test]
fn a_search_without_a_write_proves_nothing() {
    let found = search(&Config::new(&[Role::Reader(1)]), NonZeroUsize::MIN);
    assert!(found.violation.is_none() && !found.hits);
}

#[test]
fn a_counterexample_reads_as_a_story() {
    let Some((config, Found { violation: Some(violation), .. })) = miss(Defence::ReplicationId) else {
        panic!("it is not needed")
    };
    assert_eq!(
        tell(&config, &shortest(&config, violation)),
        "    At first
      Postgres     epoch 1; version 1, messages 1 2
      Redis        epoch 1, valid; version 1, 2 messages from 1; window 1 2
      its replica  epoch 1, valid; version 1, 2 messages from 1; window 1 2
  1 Add A sets intent A.0: returns epoch 1, valid
      Redis        epoch 1, valid; version 1, 2 messages from 1; window 1 2; intent A.0
  2 Add A commits
      Postgres     epoch 1; version 2, messages 1 2 3
  3 The replica takes over
      Redis        epoch 1, valid; version 1, 2 messages from 1; window 1 2; written by another server

    A read now hits and answers version 1, messages 1 2. Postgres has version 2, messages 2 3.
"
    );
}
