//! The front of the tests behaves as API Gateway and Lambda do: held against AWS's own emulator of the Runtime API, and
//! in the parts that it does not have against what is documented.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use conversation_functions::ROUTES;
use conversation_local::{InvokeError, Lambda, LambdaSettings, lambda_emulator, workspace};
use conversation_tests::{Api, Stack, functions_folder};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// A program under AWS's emulator.
struct Emulator {
    process: Child,
    url: String,
}

impl Emulator {
    async fn start(program: &Path, environment: &[(String, String)]) -> Self {
        let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (invoke, runtime) = (port(), port());
        let mut command = Command::new(lambda_emulator().unwrap());
        command
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{invoke}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime}"), "--log-level", "error"])
            .arg(program)
            .envs(environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().unwrap();
        for _ in 0..1_000 {
            if std::net::TcpStream::connect(("127.0.0.1", invoke)).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { process, url: format!("http://127.0.0.1:{invoke}/2015-03-31/functions/function/invocations") }
    }

    async fn invoke(&self, event: &Value) -> Value {
        let sent = reqwest::Client::new().post(&self.url).body(event.to_string()).send().await.unwrap();
        serde_json::from_str(&sent.text().await.unwrap()).unwrap()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "where programs are is no setting of the store's")]
fn path() -> (String, String) {
    ("PATH".to_owned(), std::env::var("PATH").unwrap())
}

/// A front with the program that tells what it sees.
async fn front(folder: &Path, concurrency: usize) -> Lambda {
    symlink(runtime(), folder.join("runtime")).unwrap();
    front_of(folder.into(), vec![path()], folder.join("log"), concurrency).await
}

async fn front_of(
    binaries: PathBuf,
    environment: Vec<(String, String)>,
    log: PathBuf,
    concurrency: usize,
) -> Lambda {
    Lambda::start(LambdaSettings { binaries, environment, log: Some(log), instances: 2, concurrency })
        .await
        .unwrap()
}

fn runtime() -> PathBuf {
    workspace().join("tests/emulator/runtime.py")
}

fn an_event() -> Value {
    json!({
        "version": "2.0", "routeKey": "GET /v1/health", "rawPath": "/v1/health", "rawQueryString": "", "headers": {},
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "p", "requestId": "r",
            "http": { "method": "GET", "path": "/v1/health", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" },
            "routeKey": "GET /v1/health", "stage": "$default", "time": "", "timeEpoch": 0,
        },
        "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn a_runtime_sees_of_the_front_what_it_sees_of_awss_emulator() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lambda = front(folder.path(), 1).await;
    let theirs = Emulator::start(&runtime(), &[]).await;
    for wish in [json!({}), json!({ "answer": "error" }), json!({ "answer": "large" }), json!({ "last": 1 })]
    {
        let theirs = theirs.invoke(&wish).await;
        match lambda.invoke("runtime", wish.to_string().into()).await {
            Ok(ours) => assert_eq!(serde_json::from_slice::<Value>(&ours).unwrap(), theirs, "{wish}"),
            Err(failed) => {
                assert_eq!(failed, InvokeError::Failed, "{wish}");
                assert!(theirs["errorType"].is_string(), "{wish}: {theirs}");
            }
        }
    }
}

#[tokio::test]
async fn a_function_answers_an_event_alike_behind_the_front_and_awss_emulator() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let stack = Stack::start().await;
    let environment: Vec<(String, String)> = [
        ("DATABASE_URL", stack.database_url.as_str()),
        ("REDIS_URL", &stack.valkey.url()),
        ("AUTH_MODE", "trusted_header"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let folder = tempfile::tempdir().unwrap();
    let theirs = Emulator::start(&functions_folder().join("get"), &environment).await;
    let lambda = front_of(functions_folder(), environment, folder.path().join("log"), 1).await;
    let (mut deep, mut unknown, mut no_owner) = (an_event(), an_event(), an_event());
    deep["rawQueryString"] = "deep=1".into();
    unknown["rawPath"] = "/nowhere".into();
    unknown["requestContext"]["http"]["path"] = "/nowhere".into();
    no_owner["rawPath"] = "/v1/conversations/c".into();
    no_owner["requestContext"]["http"]["path"] = "/v1/conversations/c".into();
    for (event, status) in [(an_event(), 200), (deep, 200), (unknown, 404), (no_owner, 401)] {
        let ours = lambda.invoke("get", event.to_string().into()).await.unwrap();
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        assert_eq!(ours["statusCode"], status, "{event}");
        let theirs = theirs.invoke(&event).await;
        assert_eq!(without_request_id(ours), without_request_id(theirs), "{event}");
    }
}

/// An answer without the id of the request that it is to, which it must bear.
fn without_request_id(mut answer: Value) -> Value {
    let headers = answer["headers"].as_object_mut().unwrap();
    assert!(headers.remove("x-request-id").is_some_and(|id| id.is_string()), "{headers:?}");
    answer
}

#[tokio::test]
async fn an_instance_that_dies_fails_what_it_was_doing_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dies"), "#!/bin/sh\nexit 1\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path().join("dies"), executable).unwrap();
    let lambda = front(folder.path(), 1).await;
    let invoke = |name: &'static str| lambda.invoke(name, "{}".into());
    let calls = (0..6).map(|_| invoke("dies"));
    assert!(join_all(calls).await.iter().all(|answer| *answer == Err(InvokeError::Failed)));
    assert!(lambda.starts("dies").iter().all(|start| start.polled.is_none()));
    assert!(invoke("runtime").await.is_ok());
    let starts = lambda.starts("runtime");
    assert_eq!(starts.len(), 1);
    assert!(starts[0].polled.unwrap() < starts[0].answered.unwrap());
    assert_eq!(invoke("missing").await, Err(InvokeError::Failed));
}

#[tokio::test]
async fn an_instance_may_have_many_requests_at_a_time() {
    const CALLERS: usize = 16;
    let stack = Stack::start().await;
    let api = stack.managed_api(CALLERS).await;
    // Whoever waits for the first commit holds none of the others up, in one process.
    let mut postgres = stack.postgres().await;
    assert_eq!(
        api.post("/v1/conversations/held/messages", r#"{"role":"user","content":"0"}"#).await.status,
        200
    );
    sqlx::raw_sql("begin; select * from conversations where shard = shard_of('local') for update")
        .execute(&mut postgres)
        .await
        .unwrap();
    let held = api.post("/v1/conversations/held/messages", r#"{"role":"user","content":"1"}"#);
    let others = async {
        let paths: Vec<_> = (0..CALLERS - 1).map(|n| format!("/v1/conversations/free{n}/messages")).collect();
        let answers =
            join_all(paths.iter().map(|path| api.post(path, r#"{"role":"user","content":"2"}"#))).await;
        sqlx::raw_sql("commit").execute(&mut postgres).await.unwrap();
        answers
    };
    let (held, others) = tokio::join!(held, others);
    assert_eq!(held.status, 200, "{}", held.text);
    assert!(others.iter().all(|answer| answer.status == 200));
    assert_eq!(api.lambda.starts("add").len(), 1);
}

fn token(subject: &str) -> String {
    format!("Bearer e30.{}.signature", URL_SAFE_NO_PAD.encode(json!({ "sub": subject }).to_string()))
}

async fn as_owner(api: &Api, owner: &str, method: &str, path: &str, body: Option<&str>) -> u16 {
    let mut request = api.request(method, path).header("authorization", token(owner));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    api.send(request).await.status
}

#[tokio::test]
async fn with_tokens_every_route_serves_the_owner_that_is_claimed_and_nobody_else() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("AUTH_MODE", "jwt"), ("DEFAULT_OWNER", "")]).await;
    let message = r#"{"id":"m1","role":"user","content":"Hello"}"#;
    let items = r#"{"items":[{"type":"message","role":"user","content":"Hi"}]}"#;
    let setting = format!(r#"{{"id":"c1","messages":[{message}]}}"#);
    assert_eq!(as_owner(&api, "ann", "POST", "/v1/conversations", Some(&setting)).await, 200);
    // Deletions last, so that all others find what they ask for.
    let mut routes: Vec<_> = ROUTES.iter().collect();
    routes.sort_by_key(|route| {
        let has_parts = route.path.contains("item_id") || route.path.contains("records");
        // Of the owner's all, last of all.
        let is_owner = route.path == "/v1/owner";
        (
            route.method == "DELETE",
            is_owner,
            !has_parts,
            route.path.contains("{key+}") && route.method == "GET",
        )
    });
    for (at, route) in routes.into_iter().enumerate() {
        let mut path = route.path.replace("{conversation_id}", "c1").replace("{item_id}", "m1");
        path = path.replace("{key+}", "state");
        match (route.method, path.ends_with("/records")) {
            ("PUT", _) if path.ends_with("/messages") => path += "?after=2",
            ("DELETE", true) => path += "?prefix=",
            ("DELETE", _) if path == "/v1/conversations" => path += "?archived=true",
            _ => {}
        }
        let body = match (route.method, route.path.rsplit('/').next()) {
            ("POST", Some("messages")) => Some(r#"{"role":"user","content":"More"}"#),
            ("PUT", _) => Some(r#"{"messages":[]}"#),
            ("POST", Some("records")) => Some(r#"{"records":[{"key":"state","value":"s"}]}"#),
            ("POST", Some("items")) => Some(items),
            ("POST", Some("{conversation_id}")) => Some(r#"{"title":"T"}"#),
            ("POST", _) => Some("{}"),
            _ => None,
        };
        let open = route.path == "/v1/health";
        let nobody = api.send(api.request(route.method, &path)).await;
        assert_eq!(nobody.status, if open { 200 } else { 401 }, "{} {path} without a token", route.method);
        if !open {
            assert_eq!(nobody.text, r#"{"message":"Unauthorized"}"#);
        }
        // Whoever adds a message or a record makes a conversation of their own, and a list or a deletion of records that are not there is
        // none.
        let others = as_owner(&api, &format!("eve-{at}"), route.method, &path, body).await;
        let own = matches!(route.path, "/v1/conversations" | "/v1/health")
            || path.starts_with("/v1/owner")
            || path.ends_with("/messages") && route.method == "POST"
            || path.contains("/records") && (route.method, path.ends_with("state")) != ("GET", true);
        assert_eq!(others, if own { 200 } else { 404 }, "{} {path} by another owner", route.method);
        assert_eq!(as_owner(&api, "ann", route.method, &path, body).await, 200, "{} {path}", route.method);
    }
    assert_eq!(as_owner(&api, "ann", "GET", "/v1/conversations/c1", None).await, 404, "it was deleted");
    assert_eq!(
        as_owner(&api, "", "GET", "/v1/conversations", None).await,
        401,
        "an empty claim names nobody"
    );
}

#[tokio::test]
async fn what_is_too_large_for_api_gateway_or_lambda_is_refused() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for bytes in [7 * 1024 * 1024, 11 * 1024 * 1024] {
        let answer = api.post("/v1/conversations/c/messages", "x".repeat(bytes)).await;
        assert_eq!((answer.status, answer.text.as_str()), (413, r#"{"message":"Request Entity Too Large"}"#));
    }
}
