//! The protocol's states searched, as far as a test can.
#![allow(missing_docs, reason = "tests say what they show by their names")]
#![allow(clippy::panic, reason = "this is how a test fails")]

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use conversation_model::catalogue::{Extent, configs, showing};
use conversation_model::config::{Config, Role};
use conversation_model::defences::Defence;
use conversation_model::owner;
use conversation_model::search::{Found, Protocol, Story, miss, search, shortest};

#[test]
fn nothing_stale_is_ever_answered() {
    holds(&configs(Extent::Short));
}

#[test]
fn an_erasure_hides_what_there_was_and_nothing_later() {
    holds(&owner::configs(Extent::Short));
}

fn holds<P: Story>(configs: &[P]) {
    let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    for config in configs {
        let found = search(config, threads);
        if let Some(violation) = &found.violation {
            panic!("{config}: not so: {}\n\n{}", violation.property, config.tell(violation));
        }
        assert!(found.proves, "{config}: the search comes to too little");
    }
}

#[test]
fn every_defence_is_needed() {
    for defence in Defence::ALL {
        let soonest = caught_soonest(showing(*defence)).or_else(|| caught_soonest(owner::showing(*defence)));
        assert!(soonest.is_some(), "nothing goes wrong without {defence}");
        assert_eq!(soonest, Some(true), "{defence}: another configuration shows it sooner");
    }
}

/// Whether the first configuration shows what goes wrong; none if none does.
fn caught_soonest<P: Protocol>(configs: Vec<P>) -> Option<bool> {
    let first = configs.first()?.clone();
    miss(configs).map(|(config, _)| config == first)
}

#[test]
fn a_search_without_a_write_proves_nothing() {
    let found = search(&Config::new(&[Role::Reader(1)]), NonZeroUsize::MIN);
    assert!(found.violation.is_none() && !found.proves);
}

#[test]
fn a_counterexample_reads_as_a_story() {
    let Some((config, Found { violation: Some(violation), .. })) = miss(showing(Defence::ReplicationId))
    else {
        panic!("it is not needed")
    };
    assert_eq!(
        config.tell(&shortest(&config, violation)),
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
