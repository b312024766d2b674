//! A `DATABASE_URL` that names several hosts of one database, as the coordinators of a cluster are.

use std::collections::BTreeSet;

use conversation_core::{CacheConfig, ConversationStore, DatabaseConfig, Error, Limit};
use conversation_tests::{LinkMode, Proxy, Stack, batch, key, port_of, user};

/// The same database at several ports.
fn at(url: &str, ports: &[u16], query: &str) -> String {
    let own = format!("127.0.0.1:{}", port_of(url));
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    assert!(url.contains(&own), "{url}");
    url.replacen(&own, &hosts.join(","), 1) + query
}

fn store_at(stack: &Stack, url: &str) -> ConversationStore {
    let cache = CacheConfig::from_url(&stack.cache_url(), "").unwrap();
    conversation_core::store(&DatabaseConfig::from_url(url).unwrap(), &cache)
}

async fn two_ways(stack: &Stack) -> (Proxy, Proxy) {
    let port = port_of(&stack.database_url);
    (Proxy::before(port).await.unwrap(), Proxy::before(port).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_host_another_one_takes_over() {
    let stack = Stack::start().await;
    let (one, two) = two_ways(&stack).await;
    let url = at(&stack.database_url, &[one.port(), two.port()], "");
    for mode in [LinkMode::Refuse, LinkMode::Hang] {
        one.link_mode(mode);
        let store = store_at(&stack, &url);
        store.add(&key("c"), &batch([user("the first is gone from the start")])).await.unwrap();
        one.link_mode(LinkMode::Pass);
        two.link_mode(mode);
        two.reset();
        // What was under way may fail; what comes after it goes to the other host.
        let _under_way = store.add(&key("c"), &batch([user("the second is gone")])).await;
        store.add(&key("c"), &batch([user("the first is back")])).await.unwrap();
        two.link_mode(LinkMode::Pass);
    }
    one.link_mode(LinkMode::Refuse);
    two.link_mode(LinkMode::Refuse);
    let error = store_at(&stack, &url).add(&key("c"), &batch([user("both are gone")])).await.unwrap_err();
    assert!(matches!(error, Error::DatabaseUnavailable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_refuses_is_not_asked_of_the_next() {
    let stack = Stack::start().await;
    let (one, two) = two_ways(&stack).await;
    let url = at(&stack.database_url, &[one.port(), two.port()], "");
    let url = url.rsplit_once('/').unwrap().0.to_owned() + "/nowhere";
    let error = store_at(&stack, &url).recent(&key("c"), Limit::MAX, None).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert_eq!((one.accepted(), two.accepted()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn balanced_connections_go_to_all_hosts() {
    let stack = Stack::start().await;
    let (one, two) = two_ways(&stack).await;
    let ports = [one.port(), two.port()];
    let mut reached = BTreeSet::new();
    for _ in 0..40 {
        let before = (one.accepted(), two.accepted());
        let store = store_at(&stack, &at(&stack.database_url, &ports, "?load_balance_hosts=random"));
        store.recent(&key("none"), Limit::MAX, None).await.unwrap();
        reached.insert((one.accepted() > before.0, two.accepted() > before.1));
        if reached.len() == 2 {
            break;
        }
    }
    assert_eq!(reached, BTreeSet::from([(false, true), (true, false)]));
    // In order, the first has all of them.
    let before = two.accepted();
    for _ in 0..5 {
        let store = store_at(&stack, &at(&stack.database_url, &ports, ""));
        store.recent(&key("none"), Limit::MAX, None).await.unwrap();
    }
    assert_eq!(two.accepted(), before);
}
