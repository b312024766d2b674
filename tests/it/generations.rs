//! Two caches at once, while code that has another one is being rolled out.

use conversation_core::{
    CacheConfig, CacheUpdate, Change, ConversationFields, ConversationStore, DatabaseConfig, Error, Limit,
    MessageId, Miss, NewConversation, Precondition, Source,
};
use conversation_tests::{OWNER, Stack, batch, key, user, user_as};

/// A store whose cache is of that generation.
fn store(stack: &Stack, generation: &str) -> ConversationStore {
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    let settings = [("REDIS_URL", stack.valkey.url()), ("CACHE_GENERATION", generation.to_owned())];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    conversation_core::store(&database, &CacheConfig::from_settings(&settings).unwrap())
}

async fn recent(store: &ConversationStore) -> (usize, Source) {
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    (read.found.map_or(0, |page| page.items.len()), read.source)
}

/// Every write, none of which is done.
async fn nothing_is_written(store: &ConversationStore) {
    let (c, id) = (key("c"), MessageId::new("a").unwrap());
    let new = NewConversation {
        fork: None,
        id: Some(key("new").id),
        fields: ConversationFields::default(),
        messages: batch([user("x")]),
    };
    let outcomes = [
        store.add(&c, &batch([user("x")])).await.map(drop),
        store.append(&c, &batch([user("x")])).await.map(drop),
        store.add(&key("unheard-of"), &batch([user("x")])).await.map(drop),
        store.create(conversation_core::OwnerId::new(OWNER).unwrap(), new).await.map(drop),
        store
            .update(
                &c,
                &Change::from(ConversationFields { title: Some(None), ..ConversationFields::default() }),
            )
            .await
            .map(drop),
        store.delete_message(&c, &id, Precondition::None).await.map(drop),
        store.delete(&c, Precondition::None).await.map(drop),
    ];
    for (at, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Err(Error::CacheMoving)), "{at}: {outcome:?}");
    }
}

#[tokio::test]
async fn of_two_caches_at_once_neither_is_ever_stale() {
    let stack = Stack::start().await;
    let index = stack.index();
    let one = index.propose_cache_generation("one").await.unwrap();
    assert_eq!(index.cache_generation().await.unwrap(), one, "where there is nothing it is the first");
    let old = store(&stack, &one);
    assert_eq!(
        old.add(&key("c"), &batch([user_as("a", "x")])).await.unwrap().cache_update,
        CacheUpdate::Applied
    );
    assert_eq!(recent(&old).await, (1, Source::Hit));

    let two = index.propose_cache_generation("two").await.unwrap();
    assert_ne!(two, one);
    assert_eq!(index.propose_cache_generation("two").await.unwrap(), two);
    assert_eq!(index.propose_cache_generation("one").await.unwrap(), one);
    let new = store(&stack, &two);
    // What new code reads it does not validate, so that it sees what old code writes meanwhile.
    for count in 1..=3 {
        for _ in 0..2 {
            let (found, source) = recent(&new).await;
            assert_eq!(found, count);
            assert!(matches!(source, Source::Miss { .. }), "{source:?}");
            assert_eq!(recent(&old).await, (count, Source::Hit));
        }
        nothing_is_written(&new).await;
        assert_eq!(old.add(&key("c"), &batch([user("x")])).await.unwrap().cache_update, CacheUpdate::Applied);
    }

    // Old code is gone.
    index.move_cache_generation(&two).await.unwrap();
    index.move_cache_generation(&two).await.unwrap();
    nothing_is_written(&old).await;
    assert_eq!(new.add(&key("c"), &batch([user("x")])).await.unwrap().cache_update, CacheUpdate::Applied);
    assert_eq!(recent(&new).await, (5, Source::Hit));
    assert_eq!(new.delete(&key("c"), Precondition::None).await.unwrap(), CacheUpdate::Applied);
    assert_eq!(recent(&new).await, (0, Source::Hit));

    // What the old cache still validates nobody comes back to.
    let left = index.move_cache_generation(&one).await.unwrap_err().to_string();
    assert!(left.contains("deploy again"), "{left}");
    let three = index.propose_cache_generation("one").await.unwrap();
    assert!(three != one && three != two, "{three}");
}

#[tokio::test]
async fn a_cache_that_cannot_be_told_lets_no_other_be_passed_over() {
    let stack = Stack::start().await;
    let index = stack.index();
    let one = index.propose_cache_generation("one").await.unwrap();
    store(&stack, &one).add(&key("c"), &batch([user("x")])).await.unwrap();
    let two = index.propose_cache_generation("two").await.unwrap();
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    let settings = [("REDIS_URL", "redis://127.0.0.1:9"), ("CACHE_GENERATION", two.as_str())];
    let away = conversation_core::store(&database, &CacheConfig::from_settings(&settings).unwrap());
    let refused = away.add(&key("c"), &batch([user("x")])).await.unwrap_err();
    assert!(matches!(refused, Error::CacheMoving), "{refused}");
    assert_eq!(recent(&away).await, (1, Source::Miss { reason: Miss::Unreachable, stored: false }));
}
