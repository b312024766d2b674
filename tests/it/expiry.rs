//! What has expired is gone for every reader and writer at its time, and the sweep deletes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use conversation_core::{
    Archived, CacheConfig, Change, Clock, ConversationFields, ConversationFilter, ConversationStore,
    DatabaseConfig, Error, ExpiresAfter, Exported, Fork, Limit, Miss, NewConversation, Order, OwnerId,
    Precondition, Range, RecordBatch, RecordChange, RecordKey, RecordQuery, RecordScope, RecordValue,
    Retention, Scope, Source, conversation_index,
};
use conversation_tests::{Profile, Stack, batch, in_each_profile, key, user};

in_each_profile!(
    what_has_expired_is_gone_for_every_reader_and_writer,
    a_clock_that_jumps_ahead_costs_hits_and_ends_no_conversation,
    a_cached_conversation_hears_of_another_retention,
);

const HOUR: i64 = 3_600;
/// Shorter than a validity marker stands.
const TEN_MINUTES: i64 = 600;

fn expiring(seconds: i64) -> Change {
    let expires_after = Some(Some(ExpiresAfter::new(seconds).unwrap()));
    Change::from(ConversationFields { expires_after, ..ConversationFields::default() })
}

fn archiving(archived: bool) -> Change {
    Change::from(ConversationFields { archived: Some(archived), ..ConversationFields::default() })
}

fn owner() -> OwnerId {
    key("c").owner
}

/// Moves the last change of a conversation back in time, as far as Postgres knows.
async fn pass(stack: &Stack, id: &str, seconds: i64) {
    let mut postgres = stack.postgres().await;
    let moved = sqlx::query(
        "update conversations set updated_at = updated_at - $2 * interval '1 second' where conversation_id = $1",
    );
    moved.bind(id).bind(seconds).execute(&mut postgres).await.unwrap();
}

async fn source(store: &ConversationStore, id: &str) -> (Source, bool) {
    let read = store.recent(&key(id), Limit::MAX, None).await.unwrap();
    (read.source, read.found.is_some())
}

async fn listed(store: &ConversationStore, filter: &ConversationFilter) -> Vec<String> {
    let listing = store.index().list(&owner(), filter, Order::Descending, None, Limit::MAX).await.unwrap();
    listing.page.items.iter().map(|conversation| conversation.id.to_string()).collect()
}

/// A store whose clock is ahead by as many seconds as the number says.
fn with_clock(stack: &Stack) -> (ConversationStore, Arc<AtomicI64>) {
    let ahead = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&ahead);
    let clock = Clock::new(move || {
        let ahead = shown.load(Ordering::Relaxed);
        let moved = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { SystemTime::now() - moved } else { SystemTime::now() + moved }
    });
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    let cache = CacheConfig::from_url(&stack.cache_url(), "").unwrap().with_clock(clock);
    (conversation_core::store(&database, &cache), ahead)
}

async fn what_has_expired_is_gone_for_every_reader_and_writer(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let store = stack.store();
    let record = || {
        let value =
            RecordValue { bytes: b"v".to_vec(), content_type: conversation_core::ContentType::text() };
        let key = RecordKey::new("k").unwrap();
        RecordBatch::new(vec![RecordChange { key, value: Some(value), precondition: Precondition::None }])
            .unwrap()
    };
    let scope = RecordScope::Conversation(key("c"));
    store.add(&key("c"), &batch([user("x")]).with_records(record())).await.unwrap();
    let changed = store.update(&key("c"), &expiring(300)).await.unwrap().conversation;
    assert_eq!(changed.expires_at, Some(changed.updated_at + 300));
    pass(&stack, "c", 200).await;
    assert_eq!(listed(&store, &ConversationFilter::default()).await, ["c"]);
    // Each change begins the time anew.
    let added = store.add(&key("c"), &batch([user("y")])).await.unwrap().conversation;
    assert!(added.expires_at >= changed.expires_at);
    pass(&stack, "c", 301).await;
    let mut redis = stack.redis().await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();

    for _ in 0..2 {
        assert!(matches!(source(&store, "c").await, (Source::Miss { stored: false, .. }, false)));
    }
    assert!(store.get(&key("c"), None).await.unwrap().found.is_none());
    assert!(store.history(&key("c"), Range::After(0), Limit::MAX, None).await.unwrap().found.is_none());
    assert!(listed(&store, &ConversationFilter::default()).await.is_empty());
    let records = store.index().records(&scope, &RecordQuery::all()).await;
    assert!(records.unwrap().items.is_empty());
    let adds = store.add(&key("c"), &batch([user("z")])).await;
    assert!(matches!(adds, Err(Error::ConversationDeleted)), "{adds:?}");
    let put = store.index().write_records(&scope, &record()).await;
    assert!(matches!(put, Err(Error::ConversationDeleted)), "{put:?}");
    assert!(matches!(store.update(&key("c"), &archiving(true)).await, Err(Error::NotFound)));
    let fork = Some(Fork { of: key("c").id, at: None, records_prefix: String::new() });
    let fields = ConversationFields::default();
    let new = NewConversation { id: None, fields, fork, messages: batch([user("f")]) };
    let fork = store.create(owner(), new).await;
    assert!(matches!(fork, Err(Error::OriginNotFound)), "{fork:?}");

    // As a deletion: its content goes from both stores, and its id is not used again.
    let swept = store.sweep(Duration::from_secs(20)).await.unwrap();
    assert_eq!((swept.conversations_expired, swept.unfinished), (1, false));
    let left: i64 =
        sqlx::query_scalar("select (select count(*) from messages) + (select count(*) from records)")
            .fetch_one(&mut stack.postgres().await)
            .await
            .unwrap();
    assert_eq!(left, 0);
    assert!(matches!(store.add(&key("c"), &batch([user("z")])).await, Err(Error::ConversationDeleted)));
    assert_eq!(store.sweep(Duration::from_secs(20)).await.unwrap().conversations_expired, 0);
}

async fn a_cached_conversation_hears_of_another_retention(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, ahead) = with_clock(&stack);
    let retention = |days: &str| Retention::from_settings(&[("RETENTION_DAYS", days)]).unwrap();
    let expires_at = async || store.get(&key("c"), None).await.unwrap().found.unwrap().expires_at;
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    assert!(source(&store, "c").await.0.is_hit());
    assert_eq!(expires_at().await, None);
    for (days, expires) in [("30", true), ("", false), ("1", true)] {
        stack.index().set_retention(retention(days)).await.unwrap();
        // Past the time of the validity marker, when it is read anew.
        ahead.fetch_add(2 * HOUR, Ordering::Relaxed);
        assert!(!source(&store, "c").await.0.is_hit());
        assert_eq!(expires_at().await.is_some(), expires, "{days:?}");
        assert!(source(&store, "c").await.0.is_hit());
        assert_eq!(expires_at().await.is_some(), expires, "{days:?}, from the cache");
    }
}

#[tokio::test]
async fn what_has_expired_is_not_imported() {
    let stack = Stack::start().await;
    let store = stack.store();
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    store.update(&key("c"), &expiring(HOUR)).await.unwrap();
    let mut export = stack.index().export(&Scope::Conversation(key("c"))).await.unwrap();
    let (mut conversation, mut messages) = (None, Vec::new());
    loop {
        let lines = export.next().await.unwrap();
        if lines.is_empty() {
            break;
        }
        for line in lines {
            match line {
                Exported::Conversation(of) => conversation = Some(of),
                Exported::Message(message) => messages.push(message),
                _ => {}
            }
        }
    }
    let mut conversation = conversation.unwrap();
    for (id, age, is_stored) in [("young", 0, true), ("old", HOUR, false)] {
        conversation.key = key(id);
        conversation.updated_at -= age * 1_000_000;
        for last in [false, true] {
            let done = store.import(&conversation, &messages, last).await;
            assert_eq!(done.is_ok(), is_stored, "{id}: {done:?}");
            assert!(is_stored || matches!(done, Err(Error::ConversationDeleted)), "{done:?}");
        }
        assert_eq!(source(&store, id).await.1, is_stored);
    }
}

async fn a_clock_that_jumps_ahead_costs_hits_and_ends_no_conversation(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, ahead) = with_clock(&stack);
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    store.update(&key("c"), &expiring(TEN_MINUTES)).await.unwrap();
    assert!(source(&store, "c").await.0.is_hit());
    // On a server that does not say who it is the validity marker is due before that.
    let reasons = [Miss::ConversationExpired, Miss::Expired];
    for (jump, is_miss) in [(0, false), (TEN_MINUTES + 10, true), (0, false)] {
        ahead.store(jump, Ordering::Relaxed);
        let (source, found) = source(&store, "c").await;
        assert!(found, "Postgres knows better: {jump}");
        if is_miss {
            assert!(matches!(source, Source::Miss { reason, .. } if reasons.contains(&reason)), "{source:?}");
        }
    }
    // Postgres' clock decides, and no entry answers longer than by the difference of the clocks.
    pass(&stack, "c", TEN_MINUTES + 1).await;
    for jump in [TEN_MINUTES + 1, HOUR, TEN_MINUTES + 1] {
        ahead.store(jump, Ordering::Relaxed);
        assert!(!source(&store, "c").await.1);
    }
    // An entry of before is gone with the first who looked.
    ahead.store(-HOUR, Ordering::Relaxed);
    assert!(!source(&store, "c").await.1);
}

#[tokio::test]
async fn a_deployment_has_a_time_for_all_conversations() {
    let stack = Stack::start().await;
    let store = stack.store();
    let index = conversation_index(&DatabaseConfig::from_url(&stack.database_url).unwrap());
    let days = |days: &str| Retention::from_settings(&[("RETENTION_DAYS", days)]).unwrap();
    for id in ["old", "short", "new"] {
        store.add(&key(id), &batch([user("x")])).await.unwrap();
    }
    store.update(&key("short"), &expiring(60)).await.unwrap();
    index.set_retention(days("30")).await.unwrap();
    let new = store.update(&key("new"), &expiring(31 * 24 * HOUR)).await.unwrap().conversation;
    assert_eq!(new.expires_at, Some(new.updated_at + 30 * 24 * HOUR), "the shorter one counts");
    pass(&stack, "old", 30 * 24 * HOUR + 1).await;
    pass(&stack, "short", 61).await;
    assert_eq!(listed(&store, &ConversationFilter::default()).await, ["new"]);
    index.set_retention(days("")).await.unwrap();
    assert_eq!(listed(&store, &ConversationFilter::default()).await, ["new", "old"]);
    index.set_retention(days("30")).await.unwrap();
    assert_eq!(store.sweep(Duration::from_secs(20)).await.unwrap().conversations_expired, 2);
    index.set_retention(days("")).await.unwrap();
    assert_eq!(listed(&store, &ConversationFilter::default()).await, ["new"]);
}

#[tokio::test]
async fn what_is_archived_is_left_out_of_lists_until_it_is_asked_for() {
    let stack = Stack::start().await;
    let store = stack.store();
    for id in ["a", "b", "c", "d"] {
        store.add(&key(id), &batch([user("x")])).await.unwrap();
    }
    for id in ["b", "c"] {
        assert!(store.update(&key(id), &archiving(true)).await.unwrap().conversation.archived);
    }
    let of = |archived| ConversationFilter { archived, ..ConversationFilter::default() };
    assert_eq!(listed(&store, &of(Archived::Without)).await, ["d", "a"]);
    assert_eq!(listed(&store, &of(Archived::Only)).await, ["c", "b"]);
    assert_eq!(listed(&store, &of(Archived::With)).await, ["c", "b", "d", "a"]);
    // Both kinds by pages, which meet where they should.
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let one = Limit::new(1).unwrap();
        let filter = of(Archived::With);
        let listing =
            store.index().list(&owner(), &filter, Order::Ascending, cursor.as_ref(), one).await.unwrap();
        ids.extend(listing.page.items.iter().map(|conversation| conversation.id.to_string()));
        cursor = listing.after;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(ids, ["a", "d", "b", "c"]);
    // It is read and written as before, and comes back.
    assert!(source(&store, "b").await.1);
    store.add(&key("b"), &batch([user("y")])).await.unwrap();
    store.update(&key("b"), &archiving(false)).await.unwrap();
    assert_eq!(listed(&store, &of(Archived::Without)).await, ["b", "d", "a"]);
}
