//! What a distributed Postgres asks of the schema and the statements, so that it holds them without a change: the rules are
//! those of Citus, read from the catalogue and the sources.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use conversation_core::{
    Anchor, CacheConfig, Change, ContentType, ConversationFields, ConversationFilter, ConversationId,
    ConversationIndex, ConversationKey, ConversationStore, DatabaseConfig, Error, Exported,
    ExportedConversation, ExportedMessage, IdempotencyKey, Limit, MessageId, Metadata, Order, OwnerId,
    Precondition, Range, RecordBatch, RecordChange, RecordDeletion, RecordKey, RecordLimit, RecordQuery,
    RecordScope, RecordValue, Scope, Sharding, Title, conversation_index, migrate,
};
use conversation_local::workspace;
use conversation_tests::{Stack, batch, key, report, sharding, user, user_as};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The tables whose rows belong to an owner.
const SHARDED: [&str; 11] = [
    "conversations",
    "messages",
    "deleted_messages",
    "pending_invalidations",
    "purges",
    "idempotency_keys",
    "metadata_pairs",
    "owners",
    "records",
    "erasures",
    "erased_ids",
];
const PARTS: u16 = 8;

async fn texts(postgres: &mut PgConnection, query: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(postgres).await.unwrap()
}

#[tokio::test]
async fn the_programs_and_postgres_have_the_same_shards() {
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    let vectors = include_str!("../../core/sql/shard_of.csv").lines().skip(1);
    let known: Vec<(String, i32)> = vectors
        .map(|line| line.rsplit_once(',').unwrap())
        .map(|(owner, shard)| (owner.to_owned(), shard.parse().unwrap()))
        .collect();
    assert!(known.len() >= 8);
    let others = (0..1_000).map(|n| format!("owner-{n}")).map(|owner| {
        let shard = OwnerId::new(&owner).unwrap().shard();
        (owner, shard)
    });
    for (owner, shard) in known.into_iter().chain(others) {
        let of_sql: i32 =
            sqlx::query_scalar("select shard_of($1)").bind(&owner).fetch_one(&mut postgres).await.unwrap();
        assert_eq!(of_sql, shard, "{owner}");
        assert!((0..4096).contains(&shard));
    }
}

/// What is wrong with the tables and functions of a database.
async fn breaches(postgres: &mut PgConnection) -> Vec<String> {
    let tables = SHARDED.map(|table| format!("'{table}'")).join(", ");
    let mut found = texts(
        postgres,
        &format!(
            "select format('the unique index %s does not end with shard', i.indexrelid::regclass)
            from pg_index i join pg_class t on t.oid = i.indrelid
            where t.relname in ({tables}) and i.indisunique and (select attname from pg_attribute a
                where a.attrelid = t.oid and a.attnum = i.indkey[i.indnkeyatts - 1]) <> 'shard'
            union all
            select format('%s has no shard that is never null', t.relname) from pg_class t
            where t.relname in ({tables}) and not exists (select from pg_attribute a
                where a.attrelid = t.oid and a.attname = 'shard' and a.attnotnull)
            union all
            select format('%s has the trigger %s', tgrelid::regclass, tgname) from pg_trigger
            join pg_class t on t.oid = tgrelid where not tgisinternal and t.relnamespace = 'public'::regnamespace
            union all
            select format('%s refers to %s', conrelid::regclass, confrelid::regclass) from pg_constraint
            where contype = 'f' and conrelid <> 0 and connamespace = 'public'::regnamespace"
        ),
    )
    .await;
    let functions = "select p.proname || ' ' || l.lanname || E'\\n' || p.prosrc from pg_proc p
        join pg_language l on l.oid = p.prolang where p.pronamespace = 'public'::regnamespace";
    for function in texts(postgres, functions).await {
        // What deployments call runs where they connect, and may ask all nodes.
        if function.starts_with("propose_cache_generation ") {
            continue;
        }
        let (head, body) = function.split_once('\n').unwrap();
        let (name, language) = head.split_once(' ').unwrap();
        let body = without_comments(body);
        let reads = SHARDED.iter().any(|table| mentions(&body, table) > 0);
        if language == "sql" && reads {
            found.push(format!("{name} reads a table in SQL"));
        }
        if body.contains("row_count") && body.contains("on conflict") {
            found.push(format!("{name} counts what it left out"));
        }
        if reads && body.contains("exception when") {
            found.push(format!("{name} has a subtransaction"));
        }
        for statement in body.split(';') {
            found.extend(breach(statement).map(|what| format!("{name}: {what}: {statement}")));
        }
    }
    found
}

fn without_comments(sql: &str) -> String {
    sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// How often a statement reads or writes a table.
fn mentions(statement: &str, table: &str) -> usize {
    let words: Vec<&str> = statement
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(2)
        .filter(|pair| ["from", "join", "into", "update", "using"].contains(&pair[0]) && pair[1] == table)
        .count()
}

/// What is wrong with a statement.
fn breach(statement: &str) -> Option<&'static str> {
    let reads: usize = SHARDED.iter().map(|table| mentions(statement, table)).sum();
    let words = |word: &str| {
        statement.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|other| *other == word).count()
    };
    if words("shard") < reads {
        return Some("it does not name the shard for each table");
    }
    let volatile = ["clock_timestamp", "random", "gen_random_uuid", "nextval"];
    let updates = words("update") > 0 && words("set") > 0;
    if updates && volatile.iter().any(|function| words(function) > 0) {
        return Some("an update calls a volatile function");
    }
    None
}

#[tokio::test]
async fn the_schema_keeps_the_rules_of_distributed_engines() {
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    let found = breaches(&mut postgres).await;
    assert!(found.is_empty(), "{found:#?}");

    // Each rule finds what breaks it. Citus refuses by itself what is planted here.
    if sharding() == "citus" {
        return;
    }
    let planted = [
        ("create unique index planted on messages (conversation_key, created_at)", "does not end with shard"),
        ("alter table purges drop column shard", "has no shard"),
        (
            "create function planted() returns trigger language plpgsql as 'begin return null; end';
            create trigger planted after insert on messages for each row execute function planted()",
            "has the trigger",
        ),
        (
            "create function planted() returns bigint language sql as 'select count(*) from messages where shard = 1'",
            "in SQL",
        ),
        (
            "create function planted() returns void language plpgsql as
                'begin delete from messages where shard = 1; exception when others then null; end'",
            "a subtransaction",
        ),
        (
            "create function planted() returns void language plpgsql as
                'begin delete from messages m using conversations c where c.shard = 1 and c.key = m.conversation_key; end'",
            "does not name the shard",
        ),
        (
            "create function planted() returns void language plpgsql as
                'begin update conversations set updated_at = clock_timestamp() where shard = 1; end'",
            "volatile",
        ),
        (
            "create function planted() returns bigint language plpgsql as
                'declare n bigint; begin insert into purges (shard) values (1) on conflict do nothing;
                get diagnostics n = row_count; return n; end'",
            "counts what it left out",
        ),
        ("alter table messages add foreign key (conversation_key, shard) references conversations", "refers to"),
    ];
    for (statement, what) in planted {
        let mut transaction = postgres.begin().await.unwrap();
        if sharding() == "none"
            || !statement.starts_with("alter table") && !statement.starts_with("create unique")
        {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *transaction).await.unwrap();
            let found = breaches(&mut transaction).await;
            assert!(found.iter().any(|found| found.contains(what)), "{what}: {found:#?}");
        }
        transaction.rollback().await.unwrap();
    }
}

/// The string literals of a source file.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find('"') {
        let mut text = String::new();
        let mut chars = rest[at + 1..].char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => drop(chars.next()),
                Some((end, '"')) => break end,
                Some((_, c)) => text.push(c),
                None => return found,
            }
        };
        found.push(text);
        rest = &rest[at + 1 + end + 1..];
    }
    found
}

/// Statements that are for all owners: they lock nothing, and what they find is gone through shard by shard.
const ACROSS: [&str; 7] = [
    "select owner_id, conversation_id, version from pending_invalidations",
    "select count(*) as pending",
    "select shard, conversation_key from purges where not is_purged order by since",
    "declare conversations_to_export",
    "(select owner_id, conversation_id from conversations",
    "select owner_id, erasing from owners",
    "select owner_id from conversations where not erased group by owner_id",
];

#[test]
fn every_statement_names_the_shard_for_each_table() {
    let mut seen = BTreeSet::new();
    for file in fs::read_dir(workspace().join("core/src/database")).unwrap() {
        let path = file.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        let code: String =
            source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for literal in literals(&code) {
            if SHARDED.iter().any(|table| mentions(&literal, table) > 0) {
                seen.insert(literal);
            }
        }
    }
    let source = fs::read_to_string(workspace().join("core/src/database.rs")).unwrap();
    seen.extend(
        literals(&source).into_iter().filter(|text| SHARDED.iter().any(|table| mentions(text, table) > 0)),
    );
    assert!(seen.len() > 10, "{seen:#?}");
    for statement in seen {
        let across = ACROSS.iter().any(|across| statement.trim_start().starts_with(across));
        assert!(across || breach(&statement).is_none(), "{:?}: {statement}", breach(&statement));
        assert!(!across || !statement.contains("for update"), "{statement}");
    }
    // What is put together from pieces names the shard in one of them.
    let list = fs::read_to_string(workspace().join("core/src/database/list.rs")).unwrap();
    assert!(list.contains("\" where c.shard = $1 and c.owner_id = $2"));
    assert!(breach("select * from messages m join conversations c on c.shard = $1").is_some());
    // Nor does the code know a constraint by its name, which others call otherwise.
    let errors = fs::read_to_string(workspace().join("core/src/database/error.rs")).unwrap();
    assert!(!errors.contains(".constraint()"));
}

/// A database whose tables have partitions.
async fn partitioned(stack: &Stack) -> String {
    let mut postgres = stack.postgres().await;
    let name = format!("parts_{}", uuid::Uuid::now_v7().simple());
    sqlx::raw_sql(AssertSqlSafe(format!("create database {name} template template0")))
        .execute(&mut postgres)
        .await
        .unwrap();
    let url = stack.database_url.rsplit_once('/').unwrap().0.to_owned() + "/" + &name;
    let config = DatabaseConfig::from_url(&url).unwrap();
    for _ in 0..2 {
        // The second time nothing is left to do.
        migrate(&config, Sharding::Partitions(PARTS), Duration::from_secs(60)).await.unwrap();
    }
    url
}

/// The parts of each table that are locked.
async fn touched(postgres: &mut PgConnection) -> Vec<String> {
    let parts = "select distinct i.inhparent::regclass || ' ' || c.relname from pg_locks l
        join pg_inherits i on i.inhrelid = l.relation join pg_class c on c.oid = l.relation
        where l.pid = pg_backend_pid() and l.locktype = 'relation' and c.relkind = 'r'";
    texts(postgres, parts).await
}

#[tokio::test]
async fn every_operation_touches_one_part_of_each_table() {
    let stack = Stack::start().await;
    let url = partitioned(&stack).await;
    let calls = [
        "select add_messages(s, 'ann', 'c', '{\"title\":\"t\",\"metadata\":{\"a\":\"b\"}}', null, null, null, '{m1,m2}', '{t,t}',
            '{\"{\\\"id\\\":\\\"m1\\\"}\",\"{\\\"id\\\":\\\"m2\\\"}\"}', false, false, null, 'k', '\\x00', false, null, false,
            true, 100, '')",
        "select add_messages(s, 'ann', 'c', '{}', null, null, null, '{m2,m3}', '{t,t}', '{\"{\\\"id\\\":\\\"m2\\\"}\",\"{\\\"id\\\":\\\"m3\\\"}\"}',
            false, true, null, null, null, false, null, false, true, 100, '')",
        "select update_conversation(s, 'ann', 'c', '{\"metadata\":{\"a\":\"c\"}}', 'k2', '\\x01', null, false, null, false,
            true, 100, '')",
        "select read_window(s, 'ann', 'c', 100)",
        "select read_window_taking_epoch(s, 'ann', 'c', 100, '')",
        "select import_messages(s, 'ann', 'c', '{}', 9, 9, 1, 1, 1, null, null, '{7,8}', '{m7,m8}', '{t,t}', '{\"{}\",\"{}\"}', '{1,1}',
            true, false, null, '')",
        "select delete_message(s, 'ann', 'c', 'm1', null, false, null, 100, '')",
        "select replace_messages(s, 'ann', 'c', 2, '{m4}', '{t}', '{\"{\\\"id\\\":\\\"m4\\\"}\"}', null, 'k3', '\\x02', false, null, 100, '')",
        "select write_records(s, 'ann', 'c', '{r1,r2}', '{\"\\\\x01\",null}', '{text/plain,null}', '{0,null}', 'k4', '\\x03')",
        "select write_records(s, 'ann', null, '{r1,r2}', '{\"\\\\x01\",\"\\\\x02\"}', '{null,null}', '{null,null}', 'k5', '\\x04')",
        "select add_messages_and_records(s, 'ann', 'c', '{}', null, null, null, '{m9}', '{f}', '{\"{}\"}', false, false, null, 'k6', '\\x05',
            false, null, false, true, 100, '', '{r3}', '{\"\\\\x01\"}', '{null}', '{null}')",
        "select replace_messages_and_records(s, 'ann', 'c', 9, '{}', '{}', '{}', null, null, null, false, null, 100, '',
            '{r3}', '{null}', '{null}', '{-1}')",
        "select read_record(s, 'ann', 'c', 'r1', '{}')",
        "select list_records(s, 'ann', 'c', '{r1}', '{r}', null, false, 9, true, 9)",
        "select list_records(s, 'ann', null, '{r1}', '{r}', 'r9', true, 9, true, 9)",
        "select import_records(s, 'ann', 'c', 9, '{r4}', '{\"\\\\x01\"}', '{null}', '{8}', '{1}')",
        "select delete_records(s, 'ann', 'c', 'r4', 10, 'k7', '\\x06')",
        "select add_messages(s, 'ann', 'd', '{}', 'c', null, '', '{}', '{}', '{}', true, false, null, null, null, false, null, false, true, 100, '')",
        "select delete_conversation(s, 'ann', 'c', null, false, false, null, '')",
        "select purge_if_free(s, 1, 100)",
        "select forget_conversation(s, 'ann', 'c')",
    ];
    for call in calls {
        // A plan that is kept for whatever comes locks all parts before it chooses one.
        let mut postgres = PgConnection::connect(&url).await.unwrap();
        let mut transaction = postgres.begin().await.unwrap();
        let statement = format!("{call} from (select shard_of('ann')) s (s)");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await.unwrap();
        let touched = touched(&mut transaction).await;
        let tables: BTreeSet<&str> = touched.iter().filter_map(|part| part.split(' ').next()).collect();
        assert!(!touched.is_empty() && touched.len() == tables.len(), "{call}: {touched:#?}");
        transaction.commit().await.unwrap();
    }
}

/// A store that has one connection to a database, so that everything it does is done by one warm session.
fn with_one_connection(stack: &Stack, url: &str) -> ConversationStore {
    let settings = [("DATABASE_URL", url), ("AWS_LAMBDA_MAX_CONCURRENCY", "1")];
    let cache = CacheConfig::from_url(&stack.cache_url(), "").unwrap();
    conversation_core::store(&DatabaseConfig::from_settings(&settings).unwrap(), &cache)
}

fn pairs(key: &str, value: &str) -> Metadata {
    Metadata::new([(key.to_owned(), value.to_owned())].into()).unwrap()
}

/// A conversation on its way from one store to another.
type Whole = (ExportedConversation, Vec<ExportedMessage>);

/// A conversation as it is exported.
async fn exported(store: &ConversationStore, index: &ConversationIndex) -> Whole {
    store.add(&key("out"), &batch([user("one"), user_as("out", "two")])).await.unwrap();
    let mut export = index.export(&Scope::Conversation(key("out"))).await.unwrap();
    let (mut conversation, mut messages) = (None, Vec::new());
    loop {
        let records = export.next().await.unwrap();
        if records.is_empty() {
            return (conversation.unwrap(), messages);
        }
        for record in records {
            match record {
                Exported::Conversation(record) => conversation = Some(record),
                Exported::Message(record) => messages.push(record),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Everything that a store does for one owner, but for exports: they ask for all shards.
async fn everything(
    store: &ConversationStore,
    index: &ConversationIndex,
    exported: &Whole,
    round: usize,
) -> Result<(), Error> {
    let key = key(&format!("c{round}"));
    let idempotent = batch([user_as("first", "one"), user("two")])
        .under(Some(IdempotencyKey::new(format!("add-{round}")).unwrap()));
    let first = MessageId::new("first").unwrap();
    store.add(&key, &idempotent).await?;
    store.add(&key, &idempotent).await?;
    store.append(&key, &batch([user_as("mine", "three")])).await?;
    store.append(&key, &batch([user_as("mine", "three"), user("four")])).await?;
    let fields =
        ConversationFields::of(Some(Title::new("titled").unwrap()), pairs("round", &round.to_string()));
    let idempotency_key = Some(IdempotencyKey::new(format!("update-{round}")).unwrap());
    store.update(&key, &Change { fields, idempotency_key, ..Change::default() }).await?;
    store.evict(&key).await?;
    store.recent(&key, Limit::MAX, None).await?;
    store.inspect(&key).await?;
    store.history(&key, Range::Before(4), Limit::MAX, None).await?;
    store.history(&key, Range::After(1), Limit::MAX, None).await?;
    store.adjacent_to(&key, &Anchor::After(first.clone()), Limit::MAX, None).await?;
    store.message(&key, &first).await?;
    for order in [Order::Ascending, Order::Descending] {
        for metadata in [Metadata::default(), pairs("round", "0")] {
            let filter = ConversationFilter { metadata, ..ConversationFilter::default() };
            let listing = index.list(&key.owner, &filter, order, None, Limit::new(1).unwrap()).await?;
            index.list(&key.owner, &filter, order, listing.after.as_ref(), Limit::MAX).await?;
        }
    }
    store.delete_message(&key, &first, Precondition::None).await?;
    let (mut conversation, messages) = exported.clone();
    conversation.key.id = ConversationId::new(format!("imported-{round}")).unwrap();
    store.import(&conversation, &messages, true).await?;
    store.import(&conversation, &messages, true).await?;
    records(index, &key).await?;
    store.delete(&key, Precondition::None).await?;
    Ok(())
}

/// Everything that is done to records.
async fn records(index: &ConversationIndex, key: &ConversationKey) -> Result<(), Error> {
    for scope in [RecordScope::Conversation(key.clone()), RecordScope::Owner(key.owner.clone())] {
        let value = RecordValue { bytes: b"value".into(), content_type: ContentType::text() };
        let change = |name: &str, value| RecordChange {
            key: RecordKey::new(name).unwrap(),
            value,
            precondition: Precondition::None,
        };
        let batch = RecordBatch::new(vec![change("a", Some(value)), change("b", None)])?;
        index.write_records(&scope, &batch).await?;
        assert!(index.record(&scope, &RecordKey::new("a")?, &[]).await?.is_some());
        for order in [Order::Ascending, Order::Descending] {
            let (keys, prefixes, after) = (vec![RecordKey::new("a")?], vec!["a".to_owned()], None);
            let query =
                RecordQuery { keys, prefixes, after, order, limit: RecordLimit::USUAL, value_bytes: Some(9) };
            assert_eq!(index.records(&scope, &query).await?.items.len(), 1);
        }
        let deletion = RecordDeletion { prefix: "a".into(), idempotency_key: None };
        assert_eq!(index.delete_records(&scope, &deletion).await?.unwrap().deleted, 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_needs_no_part_but_its_own_also_in_a_session_that_has_kept_its_plans() {
    let stack = Stack::start().await;
    let url = partitioned(&stack).await;
    let (store, config) = (with_one_connection(&stack, &url), DatabaseConfig::from_url(&url).unwrap());
    let index = conversation_index(&config);
    let exported = exported(&store, &index).await;
    everything(&store, &index, &exported, 0).await.unwrap();
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    let own = texts(&mut postgres, "select distinct right(tableoid::regclass::text, 2) from messages").await;
    let [own] = own.as_slice() else { panic!("an owner's messages are in {own:?}") };
    // Whoever needs another part now waits until it is told that it waits for too long.
    let mut holds = postgres.begin().await.unwrap();
    let others = texts(
        &mut holds,
        &format!(
            "select i.inhrelid::regclass::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where c.relkind = 'r' and right(c.relname, 2) <> '{own}'"
        ),
    )
    .await;
    assert_eq!(others.len(), SHARDED.len() * usize::from(PARTS - 1));
    for part in &others {
        let lock = format!("lock table only {part} in access exclusive mode");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *holds).await.unwrap();
    }
    // Postgres decides in the sixth execution of a statement whether it keeps a plan.
    for round in 1..10 {
        everything(&store, &index, &exported, round)
            .await
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    assert!(store.add(&key_of_another_part(own, &mut holds).await, &batch([user("x")])).await.is_err());
}

/// A conversation of an owner whose rows are in another part.
async fn key_of_another_part(own: &str, postgres: &mut PgConnection) -> ConversationKey {
    let remainder: i32 = own.trim_start_matches('_').parse().unwrap();
    for owner in (0..).map(|n| format!("owner-{n}")) {
        let key = ConversationKey { owner: OwnerId::new(owner).unwrap(), id: ConversationId::generate() };
        let is_own: bool = sqlx::query_scalar(
            "select satisfies_hash_partition('conversations'::regclass, $1, $2, $3::integer)",
        )
        .bind(i32::from(PARTS))
        .bind(remainder)
        .bind(key.owner.shard())
        .fetch_one(&mut *postgres)
        .await
        .unwrap();
        if !is_own {
            return key;
        }
    }
    unreachable!()
}

/// As engines without waiting locks answer the later of two writers.
#[tokio::test(flavor = "multi_thread")]
async fn a_hot_conversation_makes_progress_where_writers_are_told_to_try_again() {
    const WRITERS: usize = 16;
    const EACH: usize = 12;
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&mut postgres).await.unwrap();
    let serializable = format!("alter database {name} set default_transaction_isolation = 'repeatable read'");
    sqlx::raw_sql(AssertSqlSafe(serializable)).execute(&mut postgres).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = stack.store();
        tokio::spawn(async move {
            let mut refused = 0;
            for n in 0..EACH {
                let messages = batch([user_as(&format!("m{writer}-{n}"), "hot")]);
                while let Err(error) = store.add(&key("c"), &messages).await {
                    assert!(matches!(error, Error::DatabaseUnavailable(_)), "{error}");
                    refused += 1;
                }
            }
            refused
        })
    });
    let mut refused = 0;
    for writer in writers.collect::<Vec<_>>() {
        refused += writer.await.unwrap();
    }
    let adds = WRITERS * EACH;
    report(&format!("{adds} adds of {WRITERS} writers, {refused} refused after two seconds"));
    assert!(refused < WRITERS * EACH, "{refused}");
    let seen: (i64, i64, i64) =
        sqlx::query_as("select count(*), count(distinct message_id), max(seq) from messages")
            .fetch_one(&mut postgres)
            .await
            .unwrap();
    let all = (WRITERS * EACH) as i64;
    assert_eq!(seen, (all, all, all));
}

#[tokio::test]
async fn a_database_that_was_migrated_without_parts_gets_none() {
    if sharding() != "none" {
        return;
    }
    let stack = Stack::start().await;
    let config = DatabaseConfig::from_url(&stack.database_url).unwrap();
    let said =
        migrate(&config, Sharding::Partitions(PARTS), Duration::from_secs(60)).await.unwrap_err().to_string();
    assert!(said.contains("new database"), "{said}");
}
