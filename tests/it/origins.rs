//! What pages of other origins can do to a `make run` or `make watch`, in a browser and without one: nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use conversation_tests::{free_port, installed};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::browser::Browser;
use crate::run::{Run, setting};

/// A port with a page of somebody else's. Whatever is sent there is answered, and counted.
async fn elsewhere() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let posts = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&posts);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            if request[..read].starts_with(b"POST") {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\nevil";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, posts)
}

/// A running `make run` or `make watch`, with one conversation in it.
async fn running(command: &str, folder: &Path) -> (Run, String) {
    let mut run = Run::start_as(command, free_port(), folder, &[]);
    run.wait_for("Ctrl-C stops everything");
    let api = setting(folder, "API_URL");
    let new =
        Client::new().post(format!("{api}/v1/conversations")).header("content-type", "application/json");
    let new = new.body(json!({ "id": "secret", "title": "Secret" }).to_string()).send().await.unwrap();
    assert_eq!(new.status(), 200);
    (run, api)
}

/// Where the functions of a `make run` ask for work.
fn runtime_api(run: &Run) -> String {
    let pid = run.processes()["add"][0];
    let environment = Command::new("ps").args(["eww", "-o", "command=", "-p", &pid.to_string()]).output();
    let environment = String::from_utf8(environment.unwrap().stdout).unwrap();
    let value = environment.split_whitespace().find_map(|word| word.strip_prefix("AWS_LAMBDA_RUNTIME_API="));
    value.unwrap_or_else(|| panic!("{environment}")).to_owned()
}

/// The ids of all conversations.
async fn conversations(api: &str) -> Vec<String> {
    let answer = reqwest::get(format!("{api}/v1/conversations")).await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let data = answer["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
    data.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// An event that creates a conversation.
fn event(id: &str) -> String {
    json!({
        "version": "2.0", "routeKey": "POST /v1/conversations", "rawPath": "/v1/conversations", "rawQueryString": "",
        "headers": { "content-type": "application/json" },
        "requestContext": {
            "accountId": "0", "apiId": "local", "stage": "$default", "requestId": id, "timeEpoch": 0,
            "http": { "method": "POST", "path": "/v1/conversations", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" },
        },
        "isBase64Encoded": false, "body": json!({ "id": id }).to_string(),
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_can_neither_read_nor_write_through_any_port() {
    let (Some(_), Some(chromedriver)) = (installed("chromium"), installed("chromedriver")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_run, api) = running("watch", folder.path()).await;
    let functions = setting(folder.path(), "FUNCTIONS_URL");
    let port = api.rsplit(':').next().unwrap();
    let ((evil, posts), rules) = (elsewhere().await, "--host-resolver-rules=MAP rebound.example 127.0.0.1");
    let browser = Browser::start_with(&chromedriver, &[rules]).await;

    assert_eq!(browser.open(&format!("http://127.0.0.1:{evil}/")).await, Value::Null);
    let invocations = "/2015-03-31/functions/add/invocations";
    for url in [&api, &api.replace("127.0.0.1", "localhost"), &functions] {
        for read in ["/v1/conversations", "/console"] {
            let read = format!("return (await fetch('{url}{read}')).status");
            assert!(browser.run_async(&read).await.to_string().contains("TypeError"), "{url} is read");
            let opaque =
                format!("return (await (await fetch('{url}/v1/conversations', {{mode: 'no-cors'}})).text())");
            let opaque = browser.run_async(&opaque).await;
            assert!(opaque == "" || opaque.to_string().contains("TypeError"), "{url}: {opaque}");
        }
        for (path, body) in
            [("/v1/conversations", json!({ "id": "w" }).to_string()), (invocations, event("w"))]
        {
            for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
                for mode in ["no-cors", "cors"] {
                    let body = Value::from(body.as_str());
                    browser
                        .run_async(&format!(
                            "return (await fetch('{url}{path}', {{method: 'POST', mode: '{mode}', body: {body},
                                headers: {{'content-type': '{kind}'}}}})).status"
                        ))
                        .await;
                }
            }
            // A form's one field, whose name is the beginning of a JSON text and whose value is its end.
            let body = Value::from(body.replacen('{', "{\"x\":\"=\",", 1));
            browser
                .run_async(&format!(
                    "const form = Object.assign(document.createElement('form'),
                        {{action: '{url}{path}', method: 'POST', enctype: 'text/plain', target: 'there'}});
                     const [name, value] = {body}.split('=', 2);
                     form.append(Object.assign(document.createElement('input'), {{name, value}}));
                     document.body.append(Object.assign(document.createElement('iframe'), {{name: 'there'}}), form);
                     form.submit();
                     await new Promise(done => setTimeout(done, 300));"
                ))
                .await;
        }
    }
    // What is tried there does reach those who let it.
    let write =
        format!("return (await fetch('http://127.0.0.1:{evil}/', {{method: 'POST', body: 'x'}})).status");
    assert_eq!(browser.run_async(&write).await, 200);
    assert!(posts.load(Ordering::SeqCst) > 0);

    // A name of somebody else's that leads here.
    let rebound = format!("http://rebound.example:{port}");
    browser.open(&format!("{rebound}/console")).await;
    let text = browser.run("return document.body.innerText").await;
    assert!(text.as_str().is_some_and(|text| text.contains("Ask for localhost")), "{text}");
    let status = |method: &str| {
        format!(
            "return (await fetch('{rebound}/v1/conversations', {{method: '{method}', body: '{method}' == 'GET' ? null :
                JSON.stringify({{id: 'w'}}), headers: {{'content-type': 'application/json'}}}})).status"
        )
    };
    for method in ["GET", "POST"] {
        assert_eq!(browser.run_async(&status(method)).await, 421, "{method}");
    }
    browser.open(&functions.replace("127.0.0.1", "rebound.example")).await;
    let closed = browser.run("return document.documentElement.innerText").await;
    assert!(closed.as_str().is_some_and(|text| text.contains("ERR_UNSAFE_PORT")), "{closed}");
    assert_eq!(conversations(&api).await, ["secret"]);

    // The page that is ours does both.
    assert_eq!(browser.open(&format!("{api}/console")).await, Value::Null);
    let own = "return [(await fetch('/v1/conversations')).status, (await fetch('/v1/conversations', {method: 'POST',
        body: '{\"id\": \"own\"}', headers: {'content-type': 'application/json'}})).status]";
    assert_eq!(browser.run_async(own).await, json!([200, 200]));
    assert_eq!(conversations(&api).await, ["own", "secret"]);
    browser.ask(Method::DELETE, "", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_port_gives_leave_to_pages_of_other_origins_or_answers_to_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let (_watch, watched) = running("watch", &folder.path().join("watch")).await;
    let (run, api) = running("run", &folder.path().join("run")).await;
    let functions = setting(&folder.path().join("watch"), "FUNCTIONS_URL");
    let client = Client::new();
    for url in [&api, &watched, &functions, &runtime_api(&run)] {
        for path in ["/v1/conversations", "/console", "/2015-03-31/functions/add/invocations"] {
            let asked = client
                .request(Method::OPTIONS, format!("{url}{path}"))
                .header("origin", "https://evil.example")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type");
            let answer = asked.send().await.unwrap();
            assert!(
                answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")),
                "{url}{path}"
            );
        }
    }
    for (name, value, status) in [
        ("host", "rebound.example", 421),
        ("origin", "https://evil.example", 403),
        ("sec-fetch-site", "cross-site", 403),
    ] {
        let next = format!("{}/2018-06-01/runtime/invocation/next", runtime_api(&run));
        for url in ["/v1/conversations", "/console", "/nowhere"]
            .iter()
            .flat_map(|path| [format!("{api}{path}"), format!("{watched}{path}")])
            .chain([next])
        {
            let answer = client.get(&url).header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), status, "{name} {url}");
        }
    }
    let text = client.post(format!("{api}/v1/conversations")).header("content-type", "text/plain");
    assert_eq!(text.body(json!({ "id": "w" }).to_string()).send().await.unwrap().status(), 415);
    assert_eq!(conversations(&api).await, ["secret"]);
}
