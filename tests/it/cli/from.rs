//! `import --from`, of what other stores' own packages have written.

use std::process::Command;

use conversation_core::{ConversationId, ConversationKey, Limit, OwnerId};
use conversation_local::{Wheels, workspace};
use conversation_tests::Stack;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{run, succeeds, text};

/// Has a package write to a database.
async fn written(kind: &'static str, source: &Stack) {
    let python = tokio::task::spawn_blocking(|| Wheels::TESTS.python()).await.unwrap();
    let mut write = Command::new(python.unwrap_or_else(|error| panic!("{error:#}")));
    write.arg(workspace().join("tests/sources/write.py")).args([kind, &source.database_url]);
    let output = tokio::task::spawn_blocking(move || write.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Imports from it, twice: the second time everything is there.
async fn imported(stack: &Stack, kind: &str, source: &Stack, messages: &str) {
    let arguments = ["import", "--from", kind, "--source", &source.database_url, "--owner", "ann"];
    for new in [messages, "0"] {
        let (_, noted) = succeeds(stack, &arguments).await;
        assert!(noted.contains(&format!("{new} messages were new")), "{noted}");
    }
}

/// The messages of a conversation, without what the store added but their ids.
async fn messages(stack: &Stack, id: &str) -> Vec<Value> {
    let key = ConversationKey { owner: OwnerId::new("ann").unwrap(), id: ConversationId::new(id).unwrap() };
    let page = stack.store().recent(&key, Limit::MAX, None).await.unwrap().found.unwrap();
    let stripped = page.items.iter().map(|message| {
        let mut value: Value = serde_json::from_str(message.json()).unwrap();
        for field in ["seq", "created_at"] {
            value.as_object_mut().unwrap().remove(field);
        }
        value
    });
    stripped.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn langchains_history_becomes_chat_completions() {
    let (source, stack) = (Stack::start().await, Stack::start().await);
    written("langchain", &source).await;
    imported(&stack, "langchain-postgres", &source, "1,208").await;
    let expected = [
        json!({"id": "msg_langchain_1", "role": "system", "content": "Be brief."}),
        json!({"id": "msg_langchain_2", "role": "user", "content": "What is the weather in Zürich?", "name": "ann"}),
        json!({
            "id": "msg_langchain_3", "role": "assistant", "content": "",
            "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\":\"Zürich\"}"}}],
            "metadata": {"langchain": {"id": "run-1",
                "usage_metadata": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}}},
        }),
        json!({"id": "msg_langchain_4", "role": "tool", "content": "18 °C", "tool_call_id": "call_1",
            "metadata": {"langchain": {"status": "success"}}}),
        json!({"id": "msg_langchain_5", "role": "assistant",
            "content": [{"type": "text", "text": "18 °C."}, {"type": "text", "text": "Sunny."}]}),
    ];
    assert_eq!(messages(&stack, "0198c2f0-7e1a-7000-8000-000000000001").await, expected);
    let other = messages(&stack, "00000000-0000-0000-0000-000000000007").await;
    assert_eq!((other.len(), &other[99]["content"]), (100, &"message 1203".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_sdks_sessions_are_kept_to_the_byte() {
    let (source, stack) = (Stack::start().await, Stack::start().await);
    written("agents", &source).await;
    imported(&stack, "openai-agents-sqlalchemy", &source, "6").await;
    let items = messages(&stack, "user~2042~2fa").await;
    let ids: Vec<_> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["msg_agents_1", "fc_agents_2", "fco_agents_3", "msg_1", "msg_agents_5"]);
    assert_eq!(items[4]["content"][0]["text"], "Sunny.");
    assert_eq!(messages(&stack, "popped").await.len(), 1);
    let mut connection = source.postgres().await;
    let theirs: Vec<String> =
        sqlx::query_scalar("select message_data from agent_messages where id < 5 order by id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let ours: Vec<String> = sqlx::query_scalar(
        "select body::text from messages m join conversations c on c.shard = m.shard and c.key = m.conversation_key
        where conversation_id like 'user%' and seq < 5 order by seq",
    )
    .fetch_all(&mut stack.postgres().await)
    .await
    .unwrap();
    assert_eq!(ours, theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_tables_are_read_whatever_columns_they_have() {
    let (source, stack) = (Stack::start().await, Stack::start().await);
    let tables = "create schema plain; set search_path to plain;
        create table conversations (conversation_id text primary key, user_id text, title text, metadata jsonb,
            created_at timestamptz default now(), updated_at timestamptz default now());
        create table messages (id serial, conversation_id text, role text, content text, tool_calls jsonb, metadata jsonb,
            created_at timestamptz default now());
        insert into conversations values ('c1', 'u', 'A title', '{\"topic\": \"x\", \"n\": 3}', '2024-01-01Z', '2024-01-02Z');
        insert into conversations values ('none', 'u', null, null, '2024-01-01Z', '2024-01-01Z');
        insert into messages (conversation_id, role, content, metadata, created_at) values
            ('c1', 'user', 'first', '{\"a\": 1}', '2024-01-01Z'), ('c1', 'assistant', 'second', null, '2024-01-01Z'),
            ('c1', 'moderator', 'has no role here', null, '2024-01-02Z'), ('c1', 'user', 'last', null, '2024-01-03Z');";
    sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut source.postgres().await).await.unwrap();
    let url = format!("{}?options=-csearch_path%3Dplain", source.database_url);
    let output = run(&stack, &["import", "--from", "plain", "--source", &url, "--owner", "ann"]).await;
    let noted = text(&output.stderr);
    assert!(noted.contains("left out: message 3 of c1: role: unknown role"), "{noted}");
    assert_eq!(output.status.code(), Some(1), "what is left out is no success: {noted}");
    let messages = messages(&stack, "c1").await;
    assert_eq!(messages[0], json!({"id": "1", "role": "user", "content": "first", "metadata": {"a": 1}}));
    assert_eq!(messages.len(), 3);
    let (exported, _) = succeeds(&stack, &["export", "--owner", "ann"]).await;
    assert!(
        exported.contains(r#""id":"c1","title":"A title","metadata":{"n":"3","topic":"x"}"#),
        "{exported}"
    );
    assert!(exported.contains(r#""last_seq":4,"message_count":3,"created_at_us":1704067200000000,"updated_at_us":1704240000000000"#), "{exported}");
    assert!(exported.contains(r#""id":"none","title":null"#), "{exported}");
}
