//! `check`, against the local front and against the stores.

use conversation_tests::{Kind, Manners, Stack};

use super::{run, succeeds, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_works_passes_and_nothing_of_the_probe_is_left() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let (said, _) = succeeds(&stack, &["check", &api.url(), "--owner", "prober", "--token", "any"]).await;
    assert!(said.contains("all checks passed") && said.contains("redis; hit"), "{said}");
    let list = api.send(api.request("GET", "/v1/conversations").header("x-owner-id", "prober")).await;
    assert_eq!(list.json()["data"].as_array().map(Vec::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stores_are_tried_from_here_as_a_deployment_tries_them() {
    for (kind, guarantee) in
        [(Kind::Nodes, "failovers of the cache included"), (Kind::Serverless, "until 30 seconds")]
    {
        let stack = Stack::behind(Manners::of(kind)).await;
        let (said, _) = succeeds(&stack, &["check", "--stores"]).await;
        assert!(said.contains("✓ Redis runs the scripts and looks") && said.contains(guarantee), "{said}");
        let api = stack.api().await;
        let (said, _) = succeeds(&stack, &["check", &api.url()]).await;
        assert_eq!(said.contains("redis; hit; detail=failover-30s"), guarantee.contains("30"), "{said}");
    }
    let stack = Stack::start().await;
    let output = run(&stack, &["check", "--stores", "--connections-needed", "4000000000"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("✗ Postgres has connections enough"), "{output:?}");
    assert_eq!(run(&stack, &["check"]).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_without_its_cache_does_not_pass() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    let output = run(&stack, &["check", &api.url()]).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("✗ read, cached") && said.contains("✓ read from Postgres"), "{said}");

    let nobody = run(&stack, &["check", "http://127.0.0.1:1"]).await;
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("http://127.0.0.1:1"));
}
