//! What the functions tell of themselves: to logs, to CloudWatch, to X-Ray; and what they never tell.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use conversation_local::{Wheels, workspace};
use conversation_tests::{Api, Stack, user};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/conversations/c/messages";

/// The lines that were logged, each an object.
fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} is no JSON")))
        .collect()
}

/// The metrics among them.
pub(crate) fn metrics(api: &Api) -> Vec<Value> {
    lines(&api.log()).into_iter().filter(|line| line.get("_aws").is_some()).collect()
}

/// What CloudWatch makes of a line: the value of each metric, by its name and dimensions.
fn extracted(line: &Value) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "ConversationStore");
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let values: Option<Vec<&str>> = dimensions
                .as_array()
                .unwrap()
                .iter()
                .map(|name| line[name.as_str().unwrap()].as_str())
                .collect();
            let Some(values) = values else { continue };
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                if let Some(value) = line[name].as_f64() {
                    found.insert(format!("{name}[{}]", values.join(",")), value);
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn every_request_is_one_line_of_metrics() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for answer in [
        api.post(MESSAGES, user("one")).await,
        api.get(MESSAGES).await,
        api.get("/v1/conversations/c").await,
        api.get("/v1/conversations").await,
        api.post("/v1/conversations/c", r#"{"title":"t"}"#).await,
    ] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    assert_eq!(api.get(MESSAGES).await.status, 200);
    assert_eq!(api.get("/v1/nothing").await.status, 404);
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);

    let emitted = metrics(&api);
    assert_eq!(emitted.len(), 8, "one line a request");
    let of = |at: usize| extracted(&emitted[at]);
    let add = of(0);
    for name in ["Latency[local,add]", "RedisTime[local,add]", "PostgresTime[local,add]"] {
        assert!(add[name] > 0.0, "{name} in {add:?}");
    }
    assert_eq!(
        (add["Requests[local,add]"], add["Errors[local,add]"], add["DeferredWrites[local,add]"]),
        (1.0, 0.0, 0.0)
    );
    let hit = of(1);
    assert_eq!((hit["CacheHits[local,recent]"], hit["CacheMisses[local,recent]"]), (1.0, 0.0));
    assert!(
        hit["WindowBytes[local,recent]"] > 50.0 && !hit.contains_key("PostgresTime[local,recent]"),
        "{hit:?}"
    );
    assert_eq!(of(2)["CacheHits[local,get]"], 1.0);
    assert!(!of(3).contains_key("RedisTime[local,list]") && of(3)["PostgresTime[local,list]"] > 0.0);
    assert_eq!(of(4)["Requests[local,update]"], 1.0);
    let miss = of(5);
    assert_eq!(
        (miss["CacheMisses[local,recent]"], miss["CacheMisses[local,recent,cold]"]),
        (1.0, 1.0),
        "{miss:?}"
    );
    assert_eq!(of(6)["Requests[local,none]"], 1.0);
    assert_eq!(of(7)["Requests[local,delete]"], 1.0);
    let stamps: BTreeSet<i64> =
        emitted.iter().map(|line| line["_aws"]["Timestamp"].as_i64().unwrap()).collect();
    assert!(stamps.iter().all(|stamp| *stamp > 1_700_000_000_000), "milliseconds: {stamps:?}");

    let alone = stack.api_with(&[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    assert_eq!(alone.post("/v1/conversations/d/messages", user("owed")).await.status, 200);
    assert_eq!(extracted(&metrics(&alone)[0])["DeferredWrites[local,add]"], 1.0);
    let named = stack.api_with(&[("STORE_NAME", "conversation-store-dev")]).await;
    assert_eq!(named.get(MESSAGES).await.status, 404);
    let emitted = extracted(&metrics(&named)[0]);
    assert!(emitted.keys().all(|name| name.contains("[conversation-store-dev,recent")), "{emitted:?}");
    assert_eq!(emitted["Requests[conversation-store-dev,recent]"], 1.0);
    // What a caller can tell of a request leads to its lines.
    for path in [MESSAGES, "/v1/conversations", "/v1/nothing"] {
        let answer = named.request("GET", path).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(metrics(&named).last().unwrap()["RequestId"], id, "{path}");
    }
    let silent = stack.api_with(&[("METRICS", "off")]).await;
    assert_eq!(silent.get(MESSAGES).await.status, 404);
    assert!(metrics(&silent).is_empty());
}

#[tokio::test]
async fn essential_lines_have_every_number_and_few_metrics() {
    let stack = Stack::start().await;
    let essential = ("METRICS", "essential");
    let api = stack.api_with(&[essential]).await;
    assert_eq!(api.post(MESSAGES, user("one")).await.status, 200);
    for path in [MESSAGES, "/v1/conversations/c", "/v1/conversations"] {
        assert_eq!(api.get(path).await.status, 200);
    }
    api.lambda.invoke("sweep", "{}".into()).await.unwrap();
    let named: Vec<_> = metrics(&api).iter().flat_map(extracted).collect();
    assert_eq!(named, [("CacheHits[local,recent]".to_owned(), 1.0)]);
    let told: Vec<Value> =
        lines(&api.log()).into_iter().filter(|line| line.get("Latency").is_some()).collect();
    let operations: Vec<_> = told.iter().filter_map(|line| line["Operation"].as_str()).collect();
    assert_eq!(operations, ["add", "recent", "get", "list", "sweep"], "one line a request");
    for line in &told {
        assert!(line["Latency"].as_f64() > Some(0.0) && line["RequestId"].is_string(), "{line}");
        assert_eq!((line.get("Requests"), line.get("Errors"), &line["Status"]), (None, None, &json!("200")));
    }
    assert!(told[0]["PostgresTime"].as_f64() > Some(0.0) && told[0]["DeferredWrites"] == 0, "{}", told[0]);
    assert!(told[4]["AuditSamples"] == 1 && told[4]["PendingInvalidationAge"] == 0, "{}", told[4]);

    let alone = stack.api_with(&[essential, ("REDIS_URL", "redis://127.0.0.1:1")]).await;
    assert_eq!(alone.delete("/v1/conversations/c").await.status, 503);
    let failed = BTreeMap::from([("Errors[local,delete]".to_owned(), 1.0)]);
    assert_eq!(extracted(&metrics(&alone)[0]), failed);
}

#[tokio::test]
async fn a_sweep_tells_what_it_found() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for id in ["a", "b", "c"] {
        assert_eq!(api.post(&format!("/v1/conversations/{id}/messages"), user("x")).await.status, 200);
    }
    // Somebody meddles with a cached copy, and with what is owed.
    let mut redis = stack.redis().await;
    redis::cmd("LSET")
        .arg("conversation:{local/b}:messages")
        .arg(0)
        .arg(r#"1 {"false":1}"#)
        .exec_async(&mut redis)
        .await
        .unwrap();
    let meddle =
        "update conversations set updated_at = now() - interval '1 hour' where conversation_id = 'b'";
    sqlx::query(meddle).execute(&mut stack.postgres().await).await.unwrap();
    api.lambda.invoke("sweep", "{}".into()).await.unwrap();
    let emitted = metrics(&api);
    let swept = extracted(emitted.last().unwrap());
    assert_eq!(
        (
            swept["AuditSamples[local,sweep]"],
            swept["AuditStaleAt1s[local,sweep]"],
            swept["AuditStaleAt1m[local,sweep]"]
        ),
        (3.0, 1.0, 1.0),
        "{swept:?}"
    );
    for name in ["IntentsCleared", "PendingInvalidations", "PendingInvalidationAge"] {
        assert_eq!(swept[&format!("{name}[local,sweep]")], 0.0);
    }
    assert!(api.log().contains("would answer what postgres does not hold"));
}

#[tokio::test]
async fn lines_name_the_request_and_not_the_owner_and_never_a_message() {
    const SECRETS: [&str; 6] =
        ["s3cret-content", "s3cret-title", "s3cret-value", "s3cret-owner", "s3cret-key", "s3cret-token"];
    let stack = Stack::start().await;
    let api = stack.api_with(&[("LOG_LEVEL", "trace")]).await;
    let alone = stack.api_with(&[("LOG_LEVEL", "trace"), ("REDIS_URL", "redis://127.0.0.1:1")]).await;
    let send_to = async |api: &Api, method: &str, path: &str, body: String| {
        let request = api.request(method, path).header("content-type", "application/json").body(body);
        let request = request.header("x-owner-id", SECRETS[3]).header("idempotency-key", SECRETS[4]);
        api.send(request.header("authorization", format!("Bearer {}", SECRETS[5]))).await.status
    };
    let send = async |method: &str, path: &str, body: String| send_to(&api, method, path, body).await;
    let new = json!({"id":"c","title":SECRETS[1],"metadata":{"k":SECRETS[2]},"messages":[{"role":"user","content":SECRETS[0]}]});
    assert_eq!(send("POST", "/v1/conversations", new.to_string()).await, 200);
    let broken = format!(r#"{{"role":"user","content":["{}"]}}"#, SECRETS[0]);
    assert_eq!(send("POST", "/v1/conversations/d/messages", broken).await, 400);
    assert_eq!(send("POST", "/v1/conversations/c", json!({"title":[SECRETS[1]]}).to_string()).await, 400);
    for path in [
        "/v1/conversations/c/messages",
        "/v1/conversations/c/items?order=asc",
        "/v1/conversations/c",
        "/v1/conversations?metadata[k]=s3cret-value",
    ] {
        assert_eq!(send("GET", path, String::new()).await, 200);
    }
    assert_eq!(send_to(&alone, "GET", "/v1/conversations/c/messages", String::new()).await, 200);
    let log = api.log() + &alone.log();
    for secret in SECRETS {
        let leak = log.lines().find(|line| line.contains(secret));
        assert!(leak.is_none(), "{secret} in {}", leak.unwrap_or_default());
    }
    // What the store itself says of a request can be traced to it.
    let ours: Vec<Value> =
        lines(&log).into_iter().filter(|line| line["span"]["name"] == "operation").collect();
    assert!(ours.len() >= 3, "{log}");
    for line in ours {
        let span = &line["span"];
        assert!(span["request_id"].as_str().is_some_and(|id| id.len() > 8), "{line}");
        assert_eq!(span["owner"].as_str().map(str::len), Some(16), "{line}");
        assert!(span["operation"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn spans_go_to_the_daemon_one_within_the_other() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    let stack = Stack::start().await;
    let api = stack.api_with(&[("TRACES", "xray"), ("AWS_XRAY_DAEMON_ADDRESS", &address)]).await;
    assert_eq!(api.post(MESSAGES, user("one")).await.status, 200);
    let mut datagram = vec![0; 65_536];
    let length = daemon.recv(&mut datagram).unwrap();
    let text = std::str::from_utf8(&datagram[..length]).unwrap();
    let (header, segment) = text.split_once('\n').unwrap();
    assert_eq!(header, r#"{"format":"json","version":1}"#);
    let operation: Value = serde_json::from_str(segment).unwrap();
    assert_eq!((&operation["name"], &operation["type"]), (&json!("add"), &json!("subsegment")));
    let spans = operation["subsegments"].as_array().unwrap();
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    // An intent, a commit, a publication.
    assert!(names.len() >= 3 && names.starts_with(&["redis"]) && names.contains(&"postgres"), "{names:?}");
    for span in spans {
        let times =
            [&operation["start_time"], &span["start_time"], &span["end_time"], &operation["end_time"]];
        assert!(times.map(|time| time.as_f64().unwrap()).is_sorted(), "{operation}");
        assert_eq!((span["id"].as_str().map(str::len), &span["namespace"]), (Some(16), &json!("remote")));
    }
    assert_eq!(
        (operation["parent_id"].as_str().map(str::len), &operation["fault"]),
        (Some(16), &json!(false))
    );
    let trace = operation["trace_id"].as_str().unwrap();
    assert!(trace.starts_with("1-") && trace.len() == 35, "{trace}");
    assert_eq!(operation["annotations"]["operation"], "add");
    assert!(operation["annotations"]["owner"].as_str().is_some_and(|owner| owner != "local"));
}

/// What the dashboard draws of the functions' own metrics: name and operation.
fn drawn() -> BTreeSet<String> {
    let python = Wheels::TESTS.python().unwrap_or_else(|trouble| panic!("{trouble}"));
    let rendered =
        Command::new(python).arg(workspace().join("infra/render.py")).arg("dashboard").output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let dashboard = String::from_utf8(rendered.stdout).unwrap();
    let metrics = dashboard.lines().filter_map(|line| {
        let (_, metric) = line.split_once("[\"ConversationStore\", ")?;
        let mut words = metric.split('"').skip(1).step_by(2);
        let name = words.next()?;
        let operation = words.skip_while(|word| *word != "Operation").nth(1)?;
        // There the store is the stack, whatever it is called.
        Some(format!("{name}[local,{operation}]"))
    });
    metrics.collect()
}

#[tokio::test]
async fn what_the_dashboard_draws_is_told() {
    let drawn = tokio::task::spawn_blocking(drawn).await.unwrap();
    assert!(drawn.len() > 30, "{drawn:?}");
    let stack = Stack::start().await;
    let api = stack.api().await;
    let answers = [
        api.post(MESSAGES, user("one")).await,
        api.get(MESSAGES).await,
        api.get(&format!("{MESSAGES}?after=0")).await,
        api.get("/v1/conversations/c").await,
        api.get("/v1/conversations").await,
        api.post("/v1/conversations/c", r#"{"title":"t"}"#).await,
        api.get("/v1/records").await,
    ];
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let elsewhere = api.request("PUT", "/v1/records/a").header("if-match", "*").body("x");
    assert_eq!(api.send(elsewhere).await.status, 412);
    let unchanged = api.request("GET", MESSAGES).header("if-none-match", "*");
    assert_eq!(api.send(unchanged).await.status, 304);
    for path in [MESSAGES, "/v1/conversations/c"] {
        let elsewhere =
            api.request("POST", path).header("if-match", "\"9\"").header("content-type", "application/json");
        let body = if path == MESSAGES { user("two") } else { r#"{"title":"u"}"#.to_owned() };
        assert_eq!(api.send(elsewhere.body(body)).await.status, 412);
    }
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    api.lambda.invoke("sweep", "{}".into()).await.unwrap();
    let emitted: BTreeSet<String> =
        metrics(&api).iter().flat_map(|line| extracted(line).into_keys()).collect();
    let silent: Vec<_> = drawn.difference(&emitted).collect();
    assert!(silent.is_empty(), "drawn and never emitted: {silent:?}");
}
