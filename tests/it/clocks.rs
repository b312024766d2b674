//! Callers whose clocks differ by minutes, stand still, or jump: nothing that is answered depends on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use conversation_core::{CacheConfig, Clock, DatabaseConfig, Limit, Message};
use conversation_tests::{Stack, batch, key, user};

const ADDS: usize = 20;

/// Right, ahead by minutes, behind by an hour, standing still, jumping.
fn clocks() -> Vec<Clock> {
    let (start, calls) = (SystemTime::now(), AtomicU64::new(0));
    let jumping = move || {
        let hours = calls.fetch_add(1, Ordering::Relaxed) % 3;
        SystemTime::now() - Duration::from_secs(3_600) * 2 + Duration::from_secs(3_600 * 2 * hours)
    };
    vec![
        Clock::default(),
        Clock::new(|| SystemTime::now() + Duration::from_secs(180)),
        Clock::new(|| SystemTime::now() - Duration::from_secs(3_600)),
        Clock::new(move || start),
        Clock::new(jumping),
    ]
}

#[tokio::test]
async fn whatever_clocks_say_no_read_is_stale() {
    let stack = Stack::start().await;
    let (seen, hits) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicU64::new(0)));
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    let clients: Vec<_> = clocks()
        .into_iter()
        .map(|clock| {
            let cache = CacheConfig::from_url(&stack.valkey.url(), "").unwrap().with_clock(clock);
            let store = conversation_core::store(&database, &cache);
            let (seen, hits) = (Arc::clone(&seen), Arc::clone(&hits));
            tokio::spawn(async move {
                for _ in 0..ADDS {
                    let added = store.add(&key("c"), &batch([user("x")])).await.unwrap();
                    seen.fetch_max(added.messages[0].seq(), Ordering::SeqCst);
                    for _ in 0..3 {
                        let before = seen.load(Ordering::SeqCst);
                        let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
                        let seqs: Vec<i64> = read.found.unwrap().items.iter().map(Message::seq).collect();
                        let last = *seqs.last().unwrap();
                        assert!(last >= before, "{last} after {before}: {:?}", read.source);
                        assert_eq!(seqs, ((last - 99).max(1)..=last).collect::<Vec<_>>());
                        seen.fetch_max(last, Ordering::SeqCst);
                        hits.fetch_add(u64::from(read.source.is_hit()), Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let callers = clients.len();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(seen.load(Ordering::SeqCst), i64::try_from(callers * ADDS).unwrap());
    assert!(hits.load(Ordering::Relaxed) > 0, "or it proves nothing");
}
