//! The erasure of everything that an owner has: nobody can read it when it is answered, and nothing of it is left after the sweep.

use std::time::Duration;

use conversation_core::{
    ContentType, ConversationFields, ConversationFilter, ConversationId, ConversationKey, ConversationStore,
    Error, Exported, Fork, IdempotencyKey, Limit, Metadata, NewConversation, Order, OwnerId, Precondition,
    RecordBatch, RecordChange, RecordKey, RecordScope, RecordValue, Scope, Title,
};
use conversation_tests::{
    Failpoint, LinkFault, Loss, Profile, Stack, batch, in_each_profile, traces, user_as,
};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::Instant;

in_each_profile!(
    what_is_erased_is_gone_at_once_and_for_good,
    without_the_cache_nothing_is_erased,
    retries_and_imports_bring_nothing_back,
);

const CANARY: &str = "canary-text";
/// What stands in everything of ann's that is to be erased.
const TRACE: &str = "canary-";
const BUDGET: Duration = Duration::from_secs(20);

fn owner(name: &str) -> OwnerId {
    OwnerId::new(name).unwrap()
}

fn of(owner_name: &str, id: &str) -> ConversationKey {
    ConversationKey { owner: owner(owner_name), id: ConversationId::new(id).unwrap() }
}

fn under(key: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new(key).unwrap())
}

fn records(names: &[&str], value: &str) -> RecordBatch {
    let change = |name: &&str| RecordChange {
        key: RecordKey::new(*name).unwrap(),
        value: Some(RecordValue { bytes: value.into(), content_type: ContentType::text() }),
        precondition: Precondition::None,
    };
    RecordBatch::new(names.iter().map(change).collect()).unwrap()
}

fn message(id: &str) -> String {
    user_as(id, CANARY)
}

async fn erase(store: &ConversationStore, name: &str) -> Result<conversation_core::Erasure, Error> {
    store.erase_owner(&owner(name), "owner", Instant::now() + BUDGET).await
}

/// A conversation with all that it may have, a fork of it, one that was deleted, and records of the owner's own.
async fn fill(store: &ConversationStore, name: &str) {
    let fields = ConversationFields::of(
        Some(Title::new(CANARY).unwrap()),
        Metadata::new([(CANARY.into(), CANARY.into())].into()).unwrap(),
    );
    let messages =
        batch([message("canary-1"), message("canary-2")]).with_records(records(&["canary-0"], CANARY));
    let new = |id: &str, fork: Option<&str>| NewConversation {
        id: Some(ConversationId::new(id).unwrap()),
        fields: fields.clone(),
        fork: fork.map(|of| Fork {
            of: ConversationId::new(of).unwrap(),
            at: None,
            records_prefix: String::new(),
        }),
        messages: batch([message("canary-3")]).under(under(&format!("canary-{id}"))),
    };
    store.create(owner(name), NewConversation { messages, ..new("canary-a", None) }).await.unwrap();
    store.create(owner(name), new("canary-b", Some("canary-a"))).await.unwrap();
    for id in ["canary-c", "canary-d"] {
        store.add(&of(name, id), &batch([message("canary-1")])).await.unwrap();
    }
    store.delete(&of(name, "canary-c"), Precondition::None).await.unwrap();
    let scope = RecordScope::Owner(owner(name));
    let own = records(&["canary-1", "canary-2"], CANARY).under(under("canary-own"));
    store.index().write_records(&scope, &own).await.unwrap();
}

async fn is_there(store: &ConversationStore, name: &str, id: &str) -> bool {
    let key = of(name, id);
    let recent = store.recent(&key, Limit::MAX, None).await.unwrap().found.is_some();
    assert_eq!(store.get(&key, None).await.unwrap().found.is_some(), recent);
    recent
}

/// The tables and entries in which the word stands, for an owner of that name.
async fn found_in(stack: &Stack, word: &str) -> Vec<String> {
    let mut postgres = stack.postgres().await;
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&mut postgres)
            .await
            .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let query =
            format!("select exists (select from {table} t where t::text ~ $1 or to_json(t)::text ~ $1)");
        let stands = async |postgres: &mut PgConnection, word: String| -> bool {
            sqlx::query_scalar(AssertSqlSafe(query.clone())).bind(word).fetch_one(postgres).await.unwrap()
        };
        // Bytes are shown as hexadecimal digits.
        let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        if stands(&mut postgres, word.to_owned()).await || stands(&mut postgres, hex).await {
            found.push(table);
        }
    }
    found.extend(traces::in_redis(&mut stack.redis().await, word).await.unwrap());
    found
}

async fn what_is_erased_is_gone_at_once_and_for_good(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let store = stack.store().settling(Duration::ZERO);
    fill(&store, "ann").await;
    store.add(&of("bob", "b"), &batch([user_as("m", "kept")])).await.unwrap();
    for id in ["canary-a", "canary-b", "canary-d"] {
        assert!(is_there(&store, "ann", id).await);
    }
    let (stats, none) = store.index().owner(&owner("ann")).await.unwrap();
    assert_eq!((stats.conversations, stats.messages, stats.records, none), (3, 6, 4, None));
    assert!(stats.bytes > 0);

    let hidden = erase(&store, "ann").await.unwrap();
    assert!(hidden.hidden_at.is_some() && hidden.completed_at.is_none(), "{hidden:?}");
    assert_eq!((hidden.conversations, hidden.remaining, hidden.requested_by.as_str()), (4, 5, "owner"));
    for id in ["canary-a", "canary-b", "canary-c", "canary-d"] {
        assert!(!is_there(&store, "ann", id).await);
    }
    let (stats, last) = store.index().owner(&owner("ann")).await.unwrap();
    assert_eq!((stats, last), (conversation_core::OwnerStats::default(), Some(hidden)));
    let filter = ConversationFilter::default();
    let listed = store.index().list(&owner("ann"), &filter, Order::Descending, None, Limit::MAX).await;
    assert!(listed.unwrap().page.items.is_empty());
    let scope = RecordScope::Owner(owner("ann"));
    let key = RecordKey::new("canary-1").unwrap();
    assert!(store.index().record(&scope, &key, &[]).await.unwrap().is_none());

    // New ones may be created at once, under other ids; the sweep leaves them alone.
    store.add(&of("ann", "new"), &batch([user_as("m", "new")])).await.unwrap();
    store.index().write_records(&scope, &records(&["new"], "kept")).await.unwrap();
    let swept = store.sweep(BUDGET).await.unwrap();
    assert_eq!((swept.conversations_erased, swept.unfinished), (4, false), "{swept:?}");
    let done = store.index().owner(&owner("ann")).await.unwrap().1.unwrap();
    assert!(done.completed_at.is_some(), "{done:?}");
    assert_eq!((done.conversations, done.messages, done.records, done.remaining), (4, 6, 4, 0));
    assert!(is_there(&store, "ann", "new").await && is_there(&store, "bob", "b").await);
    let own = store.index().record(&scope, &RecordKey::new("new").unwrap(), &[]).await.unwrap();
    assert!(own.is_some());
    assert!(found_in(&stack, TRACE).await.is_empty(), "{:?}", found_in(&stack, TRACE).await);
    let kept = found_in(&stack, "kept").await;
    assert_eq!(
        kept,
        ["messages", "records", "conversation:{bob/b}:messages"],
        "or what looks for words finds none"
    );
}

async fn without_the_cache_nothing_is_erased(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let store = stack.store();
    fill(&store, "ann").await;
    let elsewhere = conversation_core::store(
        &conversation_core::DatabaseConfig::from_url(&stack.database_url).unwrap(),
        &conversation_core::CacheConfig::from_url("redis://127.0.0.1:1", "").unwrap(),
    );
    let refused = erase(&elsewhere, "ann").await;
    assert!(matches!(refused, Err(Error::CacheUnavailable(_))), "{refused:?}");
    let (stats, none) = store.index().owner(&owner("ann")).await.unwrap();
    assert_eq!((stats.conversations, stats.records, none), (3, 4, None));
    assert!(is_there(&store, "ann", "canary-a").await);
    store.add(&of("ann", "canary-e"), &batch([message("m")])).await.unwrap();
}

async fn retries_and_imports_bring_nothing_back(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let store = stack.store().settling(Duration::ZERO);
    let nameless = || NewConversation {
        id: None,
        fields: ConversationFields::default(),
        fork: None,
        messages: batch([message("canary-1")]).under(under("canary-create")),
    };
    fill(&store, "ann").await;
    store.create(owner("ann"), nameless()).await.unwrap();
    let mut export = store.index().export(&Scope::Owner(owner("ann"))).await.unwrap();
    let mut exported = Vec::new();
    loop {
        let next = export.next().await.unwrap();
        if next.is_empty() {
            break;
        }
        exported.extend(next);
    }
    drop(export);
    erase(&store, "ann").await.unwrap();
    for swept in [false, true] {
        if swept {
            store.sweep(BUDGET).await.unwrap();
        }
        let deleted =
            |done: Result<(), Error>| assert!(matches!(done, Err(Error::ConversationDeleted)), "{done:?}");
        deleted(store.add(&of("ann", "canary-a"), &batch([message("canary-9")])).await.map(drop));
        deleted(store.create(owner("ann"), nameless()).await.map(drop));
        let scope = RecordScope::Conversation(of("ann", "canary-a"));
        deleted(store.index().write_records(&scope, &records(&["r"], CANARY)).await.map(drop));
        let scope = RecordScope::Owner(owner("ann"));
        let again = records(&["canary-1", "canary-2"], CANARY).under(under("canary-own"));
        let again = store.index().write_records(&scope, &again).await;
        assert!(matches!(again, Err(Error::IdempotencyConflict { .. })), "{again:?}");
        let mut imported = 0;
        for line in &exported {
            match line {
                Exported::Conversation(conversation) => {
                    deleted(store.import(conversation, &[], true).await.map(drop));
                    imported += 1;
                }
                Exported::Record(record) if imported == 0 => {
                    deleted(
                        store.index().import_records(&scope, 9, std::slice::from_ref(record)).await.map(drop),
                    );
                }
                _ => {}
            }
        }
        assert_eq!(imported, 4);
        let (stats, _) = store.index().owner(&owner("ann")).await.unwrap();
        assert_eq!(stats, conversation_core::OwnerStats::default());
    }
    assert!(found_in(&stack, TRACE).await.is_empty(), "{:?}", found_in(&stack, TRACE).await);
}

#[tokio::test]
async fn a_fork_that_is_under_way_is_erased_with_its_origin() {
    let stack = Stack::start().await;
    let store = stack.store();
    fill(&store, "ann").await;
    // A fork that has copied and not committed yet: it holds the origin.
    let mut forking = stack.postgres().await;
    sqlx::raw_sql("begin").execute(&mut forking).await.unwrap();
    let fork = "select outcome from add_messages(shard_of('ann'), 'ann', 'canary-z', '{}', 'canary-a', null, '', '{}', '{}', '{}',
        true, false, null, null, null, false, null, false, true, 100, '')";
    sqlx::raw_sql(fork).execute(&mut forking).await.unwrap();
    let erasing = tokio::spawn({
        let store = store.clone();
        async move { erase(&store, "ann").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!erasing.is_finished(), "it waits for the fork");
    sqlx::raw_sql("commit").execute(&mut forking).await.unwrap();
    erasing.await.unwrap().unwrap();
    assert!(!is_there(&store, "ann", "canary-z").await);
    assert_eq!(store.index().owner(&owner("ann")).await.unwrap().0.conversations, 0);
}

#[tokio::test]
async fn while_an_erasure_is_hiding_nothing_is_created_and_the_sweep_goes_on_with_it() {
    let stack = Stack::start().await;
    let store = stack.store().settling(Duration::ZERO);
    fill(&store, "ann").await;
    let late = store.erase_owner(&owner("ann"), "operator:eve", Instant::now()).await;
    // All was hidden in the first round: it is the second that finds nothing left.
    assert!(late.is_ok());
    fill_one(&store, "canary-x").await;
    let register =
        "select register_erasure(shard_of('ann'), 'ann', 'erasure_1', 'operator:eve', 'hash', 0, '')";
    sqlx::raw_sql(register).execute(&mut stack.postgres().await).await.unwrap();
    let added = store.add(&of("ann", "canary-y"), &batch([message("m")])).await;
    assert!(matches!(added, Err(Error::ErasureUnderway)), "{added:?}");
    store.add(&of("bob", "b"), &batch([message("m")])).await.unwrap();
    store.add(&of("ann", "canary-x"), &batch([message("m2")])).await.unwrap();
    let scope = RecordScope::Owner(owner("ann"));
    let written = store.index().write_records(&scope, &records(&["r"], CANARY)).await;
    assert!(matches!(written, Err(Error::ErasureUnderway)), "{written:?}");
    let swept = store.sweep(BUDGET).await.unwrap();
    assert!(!swept.unfinished, "{swept:?}");
    assert!(!is_there(&store, "ann", "canary-x").await);
    fill_one(&store, "canary-y").await;
    assert!(is_there(&store, "ann", "canary-y").await);
    let receipts = store.index().erasures().await.unwrap();
    assert_eq!(receipts.len(), 2);
    assert!(receipts.iter().all(|receipt| receipt.completed_at.is_some()), "{receipts:?}");
}

async fn fill_one(store: &ConversationStore, id: &str) {
    store.add(&of("ann", id), &batch([message("m")])).await.unwrap();
}

#[tokio::test]
async fn a_try_that_comes_late_erases_nothing_that_was_created_since() {
    let stack = Stack::start().await;
    let store = stack.store();
    fill(&store, "ann").await;
    let ended = async || -> i64 {
        let asks = "select erasures_ended(shard_of('ann'), 'ann', $1)";
        let hash = conversation_core::OwnerHash::of(&owner("ann")).to_string();
        sqlx::query_scalar(asks).bind(hash).fetch_one(&mut stack.postgres().await).await.unwrap()
    };
    let late = ended().await;
    let first = erase(&store, "ann").await.unwrap();
    fill_one(&store, "new").await;
    let register = "select register_erasure(shard_of('ann'), 'ann', 'erasure_late', 'owner', $1, $2, '')";
    let joined: String = sqlx::query_scalar(register)
        .bind(first.owner_hash.as_str())
        .bind(late)
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!((joined, ended().await), (first.id.clone(), late + 1));
    // What goes on with an erasure that has ended hides nothing either.
    let hide =
        "select hidden_ids from hide_listed_conversations(shard_of('ann'), 'ann', $1, '{new}', '{1}', '')";
    let hidden: Vec<String> =
        sqlx::query_scalar(hide).bind(first.id).fetch_one(&mut stack.postgres().await).await.unwrap();
    assert!(hidden.is_empty());
    store.sweep(BUDGET).await.unwrap();
    assert!(is_there(&store, "ann", "new").await);
}

#[tokio::test]
async fn a_second_request_that_comes_late_ends_with_the_first() {
    let stack = Stack::start().await;
    let healthy = stack.store();
    // It asks how many have ended, and is late with the next question.
    let failpoint = Failpoint::new(LinkFault::Delay, Loss::Silence);
    let (store, _proxies) = stack.store_behind(&failpoint).await;
    fill(&store, "ann").await;
    failpoint.set(1);
    let late = tokio::spawn(async move { erase(&store, "ann").await });
    failpoint.sprung().await;
    let first = erase(&healthy, "ann").await.unwrap();
    fill_one(&healthy, "new").await;
    failpoint.release().await;
    let joined = tokio::time::timeout(Duration::from_secs(5), late).await.unwrap().unwrap();
    assert_eq!(joined.unwrap().id, first.id);
    assert!(is_there(&healthy, "ann", "new").await, "it was created after the erasure");
}

#[tokio::test]
async fn two_sweeps_that_remove_the_last_of_it_at_once_complete_the_receipt() {
    let stack = Stack::start().await;
    let store = stack.store();
    fill(&store, "ann").await;
    erase(&store, "ann").await.unwrap();
    // It is purged, and the last of it waits for late writers.
    store.sweep(BUDGET).await.unwrap();
    let keys: Vec<i64> = sqlx::query_scalar("select conversation_key from purges order by 1")
        .fetch_all(&mut stack.postgres().await)
        .await
        .unwrap();
    let (last, others) = keys.split_last().unwrap();
    let forget = |key: i64| sqlx::query("select forget_erased(shard_of('ann'), $1)").bind(key);
    let (mut one, mut another) = (stack.postgres().await, stack.postgres().await);
    sqlx::raw_sql("begin").execute(&mut one).await.unwrap();
    for key in others {
        forget(*key).execute(&mut one).await.unwrap();
    }
    let last = *last;
    let second = tokio::spawn(async move { forget(last).execute(&mut another).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqlx::raw_sql("commit").execute(&mut one).await.unwrap();
    second.await.unwrap().unwrap();
    let receipt = store.index().owner(&owner("ann")).await.unwrap().1.unwrap();
    assert!(receipt.completed_at.is_some() && receipt.remaining == 0, "{receipt:?}");
}

#[tokio::test]
async fn with_another_cache_in_use_nothing_is_registered() {
    let stack = Stack::start().await;
    fill(&stack.store(), "ann").await;
    let register =
        "select register_erasure(shard_of('ann'), 'ann', 'erasure_1', 'owner', 'hash', 0, 'another')";
    let refused = sqlx::raw_sql(register).execute(&mut stack.postgres().await).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "CM001");
    assert!(stack.index().erasures().await.unwrap().is_empty());
    fill_one(&stack.store(), "new").await;
}

#[tokio::test]
async fn an_entry_from_before_a_restore_stops_no_erasure() {
    let stack = Stack::start().await;
    let store = stack.store();
    fill(&store, "ann").await;
    let entry = "conversation:{ann/canary-a}";
    redis::cmd("HSET").arg(entry).arg("epoch").arg(99).exec_async(&mut stack.redis().await).await.unwrap();
    erase(&store, "ann").await.unwrap();
    assert!(!is_there(&store, "ann", "canary-a").await);
    let swept = store.settling(Duration::ZERO).sweep(BUDGET).await.unwrap();
    assert!(!swept.unfinished, "{swept:?}");
    assert!(found_in(&stack, TRACE).await.is_empty());
}
