//! The stock OpenAI SDKs, with nothing changed but their `base_url`.

use std::path::Path;
use std::process::Command;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::traits::RequestOptionsBuilder as _;
use async_openai::types::responses::{
    ConversationItem, CreateConversationItemsRequest, CreateConversationRequest, InputItem, Item,
    UpdateConversationRequest,
};
use conversation_local::{Wheels, workspace};
use conversation_tests::{Stack, installed};
use serde_json::{Value, json};

/// Runs an example against an API of its own, and holds that it ran to its end.
pub(crate) async fn runs(mut example: Command) {
    let stack = Stack::start().await;
    let api = stack.api().await;
    // Nothing may go to OpenAI, whatever the machine is set up with.
    example.env("API_URL", api.url()).env_remove("OPENAI_API_KEY").env_remove("OPENAI_BASE_URL");
    let output = tokio::task::spawn_blocking(move || example.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.trim_end().ends_with(": all as expected"), "{said}");
}

/// Runs an example in Python, with the packages of the tests.
async fn runs_in_python(example: &str) {
    let python = tokio::task::spawn_blocking(|| Wheels::TESTS.python()).await.unwrap();
    let mut python = Command::new(python.unwrap_or_else(|error| panic!("{error:#}")));
    python.arg(workspace().join("examples").join(example));
    runs(python).await;
}

/// Runs `npm start` in a folder of the examples, with what its lock file pins.
pub(crate) async fn runs_in_node(folder: &str) {
    let (Some(_), Some(npm)) = (installed("node"), installed("npm")) else { return };
    let folder = workspace().join("examples").join(folder);
    let mut start = Command::new(&npm);
    start.args(["start", "--silent"]).current_dir(&folder);
    tokio::task::spawn_blocking(move || install(&npm, &folder)).await.unwrap();
    runs(start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_and_the_agents_sdk_work_unchanged() {
    runs_in_python("openai_python.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk_works_unchanged() {
    runs_in_node("openai_js").await;
}

/// The same items as in the examples. What has no type is a message of the easy form.
fn items() -> Vec<InputItem> {
    let text = std::fs::read_to_string(workspace().join("examples/openai_items.json")).unwrap();
    let sent: Vec<Value> = serde_json::from_str(&text).unwrap();
    let item = |mut value: Value| match value["type"].as_str() {
        // Its type has no such call without an id, which the API does not ask for.
        Some("custom_tool_call") => {
            value["id"] = "ctc_1".into();
            InputItem::Item(serde_json::from_value(value).unwrap())
        }
        // What has an id would be taken for a reference otherwise.
        Some(kind) if !kind.starts_with("program") => {
            let item = serde_json::from_value::<Item>(value.clone());
            InputItem::Item(item.unwrap_or_else(|error| panic!("{error}: {value}")))
        }
        _ => serde_json::from_value(value).unwrap(),
    };
    sent.into_iter().map(item).collect()
}

fn id_of(item: &ConversationItem) -> String {
    let json = serde_json::to_value(item).unwrap();
    json["id"].as_str().unwrap_or_else(|| panic!("no id: {json}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_async_openai_works_unchanged() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", api.url())).with_api_key("any");
    let client = Client::with_config(config);
    let conversations = client.conversations();
    let topic = |topic: &str| json!({ "topic": topic });

    let first = items().remove(0);
    let new = CreateConversationRequest { metadata: Some(topic("trip").into()), items: Some(vec![first]) };
    let created = conversations.create(new).await.unwrap();
    assert_eq!((created.object.as_str(), &created.metadata), ("conversation", &topic("trip").into()));
    assert_eq!(conversations.retrieve(&created.id).await.unwrap(), created);
    let change = UpdateConversationRequest { metadata: topic("food").into() };
    assert_eq!(conversations.update(&created.id, change).await.unwrap().metadata, topic("food").into());
    let deleted = conversations.delete(&created.id).await.unwrap();
    assert_eq!((deleted.id, deleted.deleted), (created.id.clone(), true));
    let gone = conversations.retrieve(&created.id).await;
    let Err(OpenAIError::ApiError(error)) = gone else { panic!("{gone:?}") };
    assert_eq!(error.api_error.code.as_deref(), Some("conversation_not_found"));

    let id = conversations.create(CreateConversationRequest::default()).await.unwrap().id;
    let of = conversations.items(&id);
    let mut answered = Vec::new();
    for items in items().chunks(20) {
        let added = of.create(CreateConversationItemsRequest { items: items.to_vec() }).await.unwrap();
        let ids: Vec<_> = added.data.iter().map(id_of).collect();
        assert_eq!((added.first_id.as_ref(), added.last_id.as_ref()), (ids.first(), ids.last()));
        answered.extend(added.data);
    }
    // It takes whatever it does not know for a reference; and the outcome of a shell call, since it looks for that one level
    // higher than the API has it.
    let unknown = |item: &&ConversationItem| {
        let json = serde_json::to_value(item).unwrap();
        matches!(item, ConversationItem::ItemReference(_)) && json["type"] != "shell_call_output"
    };
    assert_eq!(answered.iter().find(unknown), None);
    let all = of.query(&[("order", "asc"), ("limit", "100")]).unwrap();
    let listed = all.list().await.unwrap();
    assert_eq!((listed.data.len(), listed.data, listed.has_more), (items().len(), answered.clone(), false));
    for item in &answered {
        assert_eq!(conversations.items(&id).retrieve(&id_of(item)).await.unwrap(), *item);
    }
    for item in &answered {
        assert_eq!(conversations.items(&id).delete(&id_of(item)).await.unwrap().id, id);
    }
    assert_eq!(conversations.items(&id).list().await.unwrap().data, []);
}

/// Installs what the lock file pins, unless it is there.
pub(crate) fn install(npm: &Path, folder: &Path) {
    let lock = std::fs::read(folder.join("package-lock.json")).unwrap();
    let stamp = folder.join("node_modules/.installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return;
    }
    let mut ci = Command::new(npm);
    ci.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    let output = ci.output().unwrap();
    assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(stamp, lock).unwrap();
}
