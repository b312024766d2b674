//! Functions under AWS's own emulator of Lambda's runtime, answering what API Gateway sends when it has verified a token.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use conversation_local::workspace;
use conversation_tests::{Stack, functions_folder, installed, made};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The emulator, with one function in it.
struct Emulator {
    process: Child,
    url: String,
    /// Where its log is, and the function where that came in an archive.
    folder: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string()
}

impl Emulator {
    /// A function's environment is what a deployment gives it, for stores with passwords.
    fn start(emulator: &Path, bootstrap: &[PathBuf], folder: TempDir, stack: &Stack) -> Self {
        let address = free_address();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(emulator)
            .args(["--runtime-interface-emulator-address", &address])
            .args(["--runtime-api-address", &free_address()])
            .args(bootstrap)
            .env_clear()
            .envs([("DATABASE_URL", stack.database_url.as_str()), ("REDIS_URL", &stack.valkey.url())])
            .envs([("DATABASE_AUTH", "password"), ("REDIS_AUTH", "password"), ("REDIS_CLUSTER", "false")])
            .envs([
                ("AUTH_MODE", "jwt"),
                ("OWNER_CLAIM", "sub"),
                ("LOG_FORMAT", "json"),
                ("LOG_LEVEL", "info"),
            ])
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .current_dir(folder.path())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, url: format!("http://{address}/2015-03-31/functions/function/invocations"), folder }
    }

    async fn invoke(&self, event: &Value) -> Value {
        let client = reqwest::Client::new();
        for _ in 0..200 {
            if let Ok(answer) = client.post(&self.url).body(event.to_string()).send().await {
                return serde_json::from_slice(&answer.bytes().await.unwrap())
                    .unwrap_or_else(|_| self.fail());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.fail()
    }

    fn fail(&self) -> ! {
        panic!("no answer: {}", std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }
}

/// What API Gateway sends for a request whose token its JWT authorizer has verified.
fn event(method: &str, body: Option<&str>) -> Value {
    let (path, route) = ("/v1/conversations/c/messages", "/v1/conversations/{conversation_id}/messages");
    let mut event = json!({
        "version": "2.0",
        "routeKey": format!("{method} {route}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*", "authorization": "Bearer e.y.J", "content-type": "application/json",
            "host": "api1.execute-api.eu-central-1.amazonaws.com", "x-amzn-trace-id": "Root=1-2-3",
            "x-forwarded-for": "192.0.2.1", "x-forwarded-port": "443", "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api1",
            "authorizer": { "jwt": {
                "claims": { "sub": "ann", "aud": "store", "iss": "https://issuer.example.com", "exp": "1900000000" },
                "scopes": null,
            } },
            "domainName": "api1.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "api1",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl/8",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": format!("{method} {route}"),
            "stage": "$default",
            "time": "10/Nov/2026:13:40:54 +0000",
            "timeEpoch": 1_794_318_054_000_i64,
        },
        "pathParameters": { "conversation_id": "c" },
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = body.into();
    }
    event
}

/// The emulator that comes with the tools for `infra/`.
fn emulator() -> Option<PathBuf> {
    let name = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let ending = format!("samcli/local/rapid/aws-lambda-rie-{name}");
    made(&workspace().join(".venv-infra/lib"), &ending, "make check-infra", false)
}

/// Unpacks what is deployed, as Lambda would, and keeps what may be executed so.
fn unpacked(function: &str, architecture: &str, folder: &Path) -> Option<PathBuf> {
    let ending = format!("{architecture}/{function}/bootstrap.zip");
    let archive = made(&workspace().join("target/lambda"), &ending, "make build", true)?;
    let unpack = "import sys, zipfile, os
archive = zipfile.ZipFile(sys.argv[1])
for file in archive.infolist():
    os.chmod(archive.extract(file, sys.argv[2]), file.external_attr >> 16)";
    let python = workspace().join(".venv-infra/bin/python");
    assert!(Command::new(python).args(["-c", unpack]).arg(archive).arg(folder).status().unwrap().success());
    Some(folder.join("bootstrap"))
}

/// Adds a message and reads it again, with the two functions that do so.
async fn add_and_read(start: impl Fn(&str, &Stack) -> Option<Emulator>) {
    let stack = Stack::start().await;
    let Some(add) = start("add", &stack) else { return };
    let said = r#"{"role":"user","content":"Hello!"}"#;
    let added = add.invoke(&event("POST", Some(said))).await;
    assert_eq!(added["statusCode"], 200, "{added}");
    let Some(recent) = start("recent", &stack) else { return };
    let read = recent.invoke(&event("GET", None)).await;
    assert_eq!((&read["statusCode"], &read["isBase64Encoded"]), (&json!(200), &json!(false)), "{read}");
    assert_eq!(read["headers"]["cache-status"], "redis; hit");
    let body: Value = serde_json::from_str(read["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["data"][0]["content"], "Hello!");
    let owner: String = sqlx::query_scalar("select owner_id from conversations")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(owner, "ann");
}

#[tokio::test]
async fn functions_answer_what_api_gateway_sends() {
    let Some(emulator) = emulator() else { return };
    add_and_read(|function, stack| {
        let bootstrap = functions_folder().join(function);
        Some(Emulator::start(&emulator, &[bootstrap], tempfile::tempdir().unwrap(), stack))
    })
    .await;
}

#[tokio::test]
async fn what_is_deployed_to_x86_64_answers() {
    let Some(emulator) = emulator() else { return };
    add_and_read(|function, stack| {
        let folder = tempfile::tempdir().unwrap();
        let bootstrap = unpacked(function, "x86_64", folder.path())?;
        Some(Emulator::start(&emulator, &[bootstrap], folder, stack))
    })
    .await;
}

#[tokio::test]
async fn what_is_deployed_to_arm64_answers() {
    let Some(emulator) = emulator() else { return };
    let deployed = workspace().join("target/lambda");
    if made(&deployed, "arm64/add/bootstrap.zip", "make build", true).is_none() {
        return;
    }
    let Some(qemu) = installed("qemu-aarch64-static") else { return };
    add_and_read(|function, stack| {
        let folder = tempfile::tempdir().unwrap();
        let bootstrap = unpacked(function, "arm64", folder.path())?;
        // The C library is where Debian's libc6-arm64-cross puts it.
        let command = [qemu.clone(), "-L".into(), "/usr/aarch64-linux-gnu".into(), bootstrap];
        Some(Emulator::start(&emulator, &command, folder, stack))
    })
    .await;
}
