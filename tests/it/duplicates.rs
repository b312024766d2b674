//! The same messages added many times over, at once.

use std::time::Duration;

use conversation_core::{Added, Batch, ConversationStore, Error, Limit, Message};
use conversation_tests::{Profile, Stack, batch, in_each_profile, key, user_as};
use futures_util::StreamExt as _;
use futures_util::stream;
use redis::AsyncCommands as _;

in_each_profile!(a_thousand_adds_of_a_hundred_ids_leave_a_hundred_messages,);

const IDS: usize = 100;
const ADDS: usize = 1_000;

/// Adds until it is known to be done, as a client does.
async fn insist(store: &ConversationStore, messages: &Batch) -> Added {
    loop {
        match store.add(&key("c"), messages).await {
            Ok(added) => return added,
            Err(Error::DatabaseUnavailable(_) | Error::OutcomeUnknown(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn message(at: usize) -> String {
    user_as(&format!("m{at}"), &format!("message {at}"))
}

/// On a busy machine a write may not be published in time; what it lacks is filled in when its intent is presumed dead.
async fn until_hit(store: &ConversationStore) {
    for _ in 0..60 {
        if store.recent(&key("c"), Limit::MAX, None).await.unwrap().source.is_hit() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("no hit");
}

async fn a_thousand_adds_of_a_hundred_ids_leave_a_hundred_messages(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let stores: Vec<ConversationStore> = (0..10).map(|_| stack.store()).collect();
    // Each id many times over: by itself, in pairs that overlap, and all together.
    let batches = (0..ADDS).map(|n| match n % 20 {
        0 => batch((0..IDS).map(message)),
        1..5 => batch([message(n % IDS), message((n + 1) % IDS)]),
        _ => batch([message(n % IDS)]),
    });
    let batches: Vec<Batch> = batches.collect();
    let adds = batches.iter().enumerate().map(|(n, messages)| insist(&stores[n % stores.len()], messages));
    let added: Vec<Added> = stream::iter(adds).buffer_unordered(ADDS).collect().await;
    assert_eq!(added.len(), ADDS);

    let store = &stores[0];
    let mut recent = store.recent(&key("c"), Limit::MAX, None).await.unwrap().found.unwrap().items;
    assert_eq!(recent.iter().map(Message::seq).collect::<Vec<_>>(), (1..=IDS as i64).collect::<Vec<_>>());
    for message in added.iter().flat_map(|added| &added.messages) {
        assert!(recent.contains(message), "what an add answered is not what is stored: {message:?}");
    }
    let count: i64 = sqlx::query_scalar("select count(*) from messages")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    until_hit(store).await;
    let cached: Vec<String> =
        stack.redis().await.lrange("conversation:{local/c}:messages", 0, -1).await.unwrap();
    assert_eq!((count, cached.len()), (IDS as i64, IDS));
    recent.sort_by_key(|message| message.json().to_owned());
    recent.dedup_by_key(|message| message.json().to_owned());
    assert_eq!(recent.len(), IDS);
}
