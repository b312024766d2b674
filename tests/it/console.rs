//! The page beside `make run`, in a browser. `SCREENSHOT` says where to put a picture of it.

use conversation_local::{Authorizer, Functions, Gateway, Routes, console};
use conversation_tests::{Api, Stack, file, installed};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::browser::Browser;

const LAST: &str = "document.querySelector('#reads li')?.innerText";

/// The API with the console beside it.
async fn served(stack: &Stack, api: &Api) -> Gateway {
    let functions = Functions::Processes(api.lambda.clone());
    let routes = Routes::load().unwrap();
    let console = console(stack.store());
    Gateway::start_with(0, routes, functions, Authorizer::Open, console, &[]).await.unwrap()
}

/// Two conversations of eight messages.
async fn fill(api: &Api) {
    for (id, title) in [("greeting", "<b>Greeting</b>"), ("travel", "A trip to Zürich")] {
        let messages = (1..=8).map(|n| json!({
            "role": if n % 2 == 1 { "user" } else { "assistant" }, "content": format!("message {n} <script>"),
        }));
        let new = json!({ "id": id, "title": title, "messages": messages.collect::<Vec<_>>() });
        assert_eq!(api.post("/v1/conversations", new.to_string()).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_which_store_answered_and_evicts() {
    let (Some(_), Some(chromedriver)) = (installed("chromium"), installed("chromedriver")) else { return };
    let stack = Stack::start().await;
    let api = stack.api().await;
    fill(&api).await;
    let gateway = served(&stack, &api).await;
    let browser = Browser::start(&chromedriver).await;
    browser.open(&format!("{}/console", gateway.url())).await;

    browser.wait_for("document.querySelectorAll('nav button').length === 2").await;
    browser.wait_for("document.querySelector('nav').innerText.includes('<b>Greeting</b>')").await;
    browser.click("nav button[data-id=travel]").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 8").await;
    browser.wait_for(&format!("{LAST}.includes('Redis') && / ms$/.test({LAST}.trim())")).await;
    browser.click("#evict").await;
    browser.wait_for(&format!("{LAST}.includes('evicted')")).await;
    let keys: i64 = redis::cmd("EXISTS")
        .arg("conversation:{local/travel}")
        .arg("conversation:{local/travel}:messages")
        .query_async(&mut stack.redis().await)
        .await
        .unwrap();
    assert_eq!(keys, 0);
    browser.click("#read").await;
    browser.wait_for(&format!("{LAST}.includes('Postgres, cold')")).await;
    browser.click("#read").await;
    browser.wait_for(&format!("{LAST}.includes('Redis')")).await;
    browser.run("document.querySelector('#text').value = 'one more'").await;
    browser.click("form button").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 9").await;
    browser.wait_for("document.querySelector('nav').innerText.includes('9 messages')").await;

    if let Some(path) = file("SCREENSHOT") {
        let picture = browser.ask(Method::GET, "/screenshot", Value::Null).await;
        let picture =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, picture.as_str().unwrap());
        std::fs::write(path, picture.unwrap()).unwrap();
    }
    browser.ask(Method::DELETE, "", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_forks_edits_and_clears_what_is_shown() {
    let (Some(_), Some(chromedriver)) = (installed("chromium"), installed("chromedriver")) else { return };
    let stack = Stack::start().await;
    let api = stack.api().await;
    fill(&api).await;
    let gateway = served(&stack, &api).await;
    let browser = Browser::start(&chromedriver).await;
    browser.open(&format!("{}/console#travel", gateway.url())).await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 8").await;
    // A fork of the first three messages, of which the second is edited: what follows it goes.
    browser.click("#messages li:nth-child(3) .meta button:last-child").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 3").await;
    browser.click("#messages li:nth-child(2) .meta button").await;
    browser.run("document.querySelector('#text').value = 'said otherwise'").await;
    browser.click("#send").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 2").await;
    browser.wait_for("document.querySelector('#messages').innerText.includes('said otherwise')").await;
    // What somebody else has added meanwhile is shown instead of being lost.
    let fork = browser.run("return location.hash.slice(1)").await;
    let fork = fork.as_str().unwrap();
    let path = format!("/v1/conversations/{fork}/messages");
    assert_eq!(api.post(&path, r#"{"role":"user","content":"new"}"#).await.seqs(), [5]);
    browser.click("#clear").await;
    browser.wait_for("document.querySelector('#title').innerText.includes('is at version 3')").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 3").await;
    browser.click("#clear").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 0").await;
    browser.click("nav button[data-id=travel]").await;
    browser.wait_for("document.querySelectorAll('#messages li').length === 8").await;
    browser.ask(Method::DELETE, "", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_evicted_for_pages_of_other_sites() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let gateway = served(&stack, &api).await;
    let url = format!("{}/console/evict/c", gateway.url());
    // What a page may send without being asked for leave has no such header.
    assert_eq!(Client::new().post(&url).send().await.unwrap().status(), 400);
    assert_eq!(Client::new().post(&url).header("x-owner-id", "local").send().await.unwrap().status(), 204);
    assert_eq!(api.get("/console").await.status, 404, "the functions know of no console");
}
