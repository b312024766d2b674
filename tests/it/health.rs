//! How the stores are, for whoever asks, however often.

use std::time::{Duration, Instant};

use conversation_tests::{Api, LinkMode, Proxy, Stack, at_port, port_of};
use futures_util::future::join_all;

use crate::telemetry::metrics;

const DEEP: &str = "/v1/health?deep=1";

/// How often Postgres answered, by what the functions tell.
fn looks(api: &Api) -> f64 {
    metrics(api).iter().filter_map(|line| line["PostgresRequests"].as_f64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_ask_at_a_time_one_looks_and_not_for_long() {
    let mut stack = Stack::start().await;
    let proxy = Proxy::before(port_of(&stack.database_url)).await.unwrap();
    stack.database_url = at_port(&stack.database_url, proxy.port());
    // All in one instance, where they can meet.
    let api = stack.managed_api(16).await;
    assert_eq!(api.get("/v1/health").await.status, 200, "it has started");
    proxy.link_mode(LinkMode::Hang);
    let began = Instant::now();
    let answers = join_all((0..12).map(|_| api.get(DEEP))).await;
    assert!(answers.iter().all(|answer| answer.status == 503), "{answers:?}");
    assert_eq!(answers[0].at("/error/code"), "unavailable");
    // One after the other they would have taken twelve seconds, and those of Postgres' own deadline two.
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());

    proxy.link_mode(LinkMode::Pass);
    assert_eq!(api.get(DEEP).await.status, 503, "what was seen a moment ago is still answered");
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let answers = join_all((0..12).map(|_| api.get(DEEP))).await;
    assert!(answers.iter().all(|answer| answer.at("/status") == "ok"), "{answers:?}");
    assert_eq!(api.get(DEEP).await.at("/status"), "ok");
    assert_eq!(looks(&api), 1.0);
}
