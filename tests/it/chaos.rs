//! Short runs of `make chaos`.

use std::time::Duration;

use conversation_tests::chaos::{Options, Protocol, Report, run};
use conversation_tests::{Profile, in_each_profile};

in_each_profile!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    reads_are_as_fresh_as_postgres_whatever_goes_wrong,
);

async fn run_for(protocol: Protocol, profile: Profile, seconds: u64, seed: u64) -> Report {
    let duration = Duration::from_secs(seconds);
    run(&Options { protocol, profile, duration, seed, clients: 6 }).await.unwrap()
}

async fn reads_are_as_fresh_as_postgres_whatever_goes_wrong(profile: Profile) {
    let report = run_for(Protocol::EpochFencing, profile, 10, fastrand::u64(..1_000_000)).await;
    assert!(report.is_right(), "SEED={}\n{report}", report.options.seed);
    assert!(report.hits > 100, "{report}");
}

/// A harness that does not catch the usual protocols proves nothing.
async fn is_caught(protocol: Protocol) {
    for seed in 0..8 {
        if !run_for(protocol, Profile::Plain, 5, seed).await.violations.is_empty() {
            return;
        }
    }
    panic!("{protocol:?} was not caught");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_naive_protocol_is_caught() {
    is_caught(Protocol::Naive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_aside_is_caught() {
    is_caught(Protocol::CacheAside).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_then_publish_is_caught() {
    is_caught(Protocol::CommitThenPublish).await;
}
