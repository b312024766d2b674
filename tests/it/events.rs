//! The functions behind each front end that Lambda has: the same request is answered alike, in the form that the front
//! end takes. The events in `events/` are those of AWS's documentation:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html> (both formats),
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-alb.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation_core::IdentityConfig;
use conversation_functions::{ApiRequest, HttpEvent};
use conversation_local::{Lambda, LambdaSettings};
use conversation_tests::{Stack, functions_folder};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrontEnd {
    HttpApi,
    FunctionUrl,
    RestApi,
    LoadBalancer,
    /// One whose target group has multi-value headers.
    LoadBalancerMulti,
}

use FrontEnd::{FunctionUrl, HttpApi, LoadBalancer, LoadBalancerMulti, RestApi};

const ALL: [FrontEnd; 5] = [HttpApi, FunctionUrl, RestApi, LoadBalancer, LoadBalancerMulti];

/// A request as a caller sends it.
#[derive(Clone, Debug)]
struct Sent {
    function: &'static str,
    method: &'static str,
    path: &'static str,
    /// Names and values, not encoded.
    query: &'static [(&'static str, &'static str)],
    headers: Vec<(&'static str, &'static str)>,
    body: Option<String>,
    base64: bool,
}

fn sent(function: &'static str, method: &'static str, path: &'static str) -> Sent {
    let headers = vec![("X-Owner-Id", "ann"), ("Content-Type", "application/json")];
    Sent { function, method, path, query: &[], headers, body: None, base64: false }
}

impl Sent {
    fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn body(self, body: &Value) -> Self {
        Self { body: Some(body.to_string()), ..self }
    }

    fn encoded_query(&self) -> Vec<(String, String)> {
        let encode = |text| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        self.query.iter().map(|(name, value)| (encode(name), encode(value))).collect()
    }
}

/// The last value of each name, and all values of each name.
fn maps<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> (Value, Value) {
    let (mut single, mut multi) = (Map::new(), Map::new());
    for (name, value) in pairs {
        single.insert(name.into(), value.into());
        multi.entry(name).or_insert_with(|| json!([])).as_array_mut().unwrap().push(value.into());
    }
    (single.into(), multi.into())
}

impl FrontEnd {
    fn shape(self) -> Value {
        let text = match self {
            HttpApi => include_str!("events/http-api.json"),
            FunctionUrl => include_str!("events/function-url.json"),
            RestApi => include_str!("events/rest-api.json"),
            LoadBalancer | LoadBalancerMulti => include_str!("events/load-balancer.json"),
        };
        serde_json::from_str(text).unwrap()
    }

    fn event(self, sent: &Sent) -> Value {
        let mut event = self.shape();
        let lower: Vec<(String, &str)> =
            sent.headers.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
        let encoded = sent.encoded_query();
        let pairs = || encoded.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        event["body"] = match &sent.body {
            Some(body) if sent.base64 => STANDARD.encode(body).into(),
            Some(body) => body.as_str().into(),
            None if matches!(self, LoadBalancer | LoadBalancerMulti) => "".into(),
            None => Value::Null,
        };
        event["isBase64Encoded"] = sent.base64.into();
        match self {
            HttpApi | FunctionUrl => {
                let stage = event["requestContext"]["stage"].as_str().unwrap().to_owned();
                let prefix = if stage == "$default" { String::new() } else { format!("/{stage}") };
                // An HTTP API decodes the path (github.com/hotsock/voker/pull/8 has captures), a function URL does not.
                let decoded = percent_encoding::percent_decode_str(sent.path).decode_utf8_lossy();
                let path = if self == HttpApi { decoded } else { sent.path.into() };
                event["rawPath"] = format!("{prefix}{path}").into();
                event["requestContext"]["http"]["path"] = event["rawPath"].clone();
                event["requestContext"]["http"]["method"] = sent.method.into();
                let query: Vec<String> = pairs().map(|(name, value)| format!("{name}={value}")).collect();
                event["rawQueryString"] = query.join("&").into();
                let mut joined = Map::new();
                for (name, value) in sent.query {
                    let before = joined.get(*name).and_then(Value::as_str);
                    joined.insert(
                        (*name).into(),
                        before
                            .map_or_else(|| (*value).to_owned(), |before| format!("{before},{value}"))
                            .into(),
                    );
                }
                event["queryStringParameters"] = joined.into();
                event["headers"] = maps(lower.iter().map(|(name, value)| (name.as_str(), *value))).0;
            }
            RestApi => {
                event["httpMethod"] = sent.method.into();
                event["requestContext"]["httpMethod"] = sent.method.into();
                event["path"] = sent.path.into();
                event["requestContext"]["path"] = format!("/v1{}", sent.path).into();
                let (single, multi) = maps(sent.query.iter().copied());
                // An empty query is null here.
                let or_null = |map: Value| if sent.query.is_empty() { Value::Null } else { map };
                event["queryStringParameters"] = or_null(single);
                event["multiValueQueryStringParameters"] = or_null(multi);
                let (single, multi) = maps(sent.headers.iter().copied());
                event["headers"] = single;
                event["multiValueHeaders"] = multi;
            }
            LoadBalancer | LoadBalancerMulti => {
                event["httpMethod"] = sent.method.into();
                event["path"] = sent.path.into();
                let (single, multi) = maps(pairs());
                let headers = maps(lower.iter().map(|(name, value)| (name.as_str(), *value)));
                let fields = event.as_object_mut().unwrap();
                fields.remove("queryStringParameters");
                fields.remove("headers");
                if self == LoadBalancer {
                    fields.insert("queryStringParameters".into(), single);
                    fields.insert("headers".into(), headers.0);
                } else {
                    fields.insert("multiValueQueryStringParameters".into(), multi);
                    fields.insert("multiValueHeaders".into(), headers.1);
                }
            }
        }
        event
    }
}

async fn functions(stack: &Stack, folder: &std::path::Path) -> Lambda {
    let environment = [
        ("DATABASE_URL", stack.database_url.as_str()),
        ("REDIS_URL", &stack.valkey.url()),
        ("AUTH_MODE", "trusted_header"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let log = Some(folder.join("log"));
    let settings =
        LambdaSettings { binaries: functions_folder(), environment, log, instances: 1, concurrency: 1 };
    Lambda::start(settings).await.unwrap()
}

async fn answer(lambda: &Lambda, function: &str, event: &Value) -> Value {
    let answer = lambda.invoke(function, event.to_string().into()).await.unwrap();
    let mut answer: Value = serde_json::from_slice(&answer).unwrap();
    for headers in ["headers", "multiValueHeaders"] {
        if let Some(headers) = answer[headers].as_object_mut() {
            assert!(headers.remove("x-request-id").is_some(), "{event}");
        }
    }
    if answer["multiValueHeaders"].is_null() {
        answer.as_object_mut().unwrap().remove("multiValueHeaders");
    }
    answer
}

/// More fields than a body needs, none of which there is.
fn many_fields() -> Value {
    (0..200_000).map(|n| (format!("f{n:x}"), Value::from(0))).collect::<Map<_, _>>().into()
}

/// Requests that are answered alike however often they are sent.
fn requests() -> Vec<(Sent, u16)> {
    let (create, add) = (
        sent("add", "POST", "/v1/conversations").header("Idempotency-Key", "k1"),
        sent("add", "POST", "/v1/conversations/c1/messages").header("Idempotency-Key", "k2"),
    );
    let list = sent("list", "GET", "/v1/conversations");
    let messages = sent("recent", "GET", "/v1/conversations/c1/messages");
    let record = |method| sent("records", method, "/v1/conversations/c1/records/a/b%2541%20%C3%BC");
    let message = json!({ "role": "user", "content": "hé\u{2028} \"\\ \u{1f600}" });
    let body = |body: &str| Sent { body: Some(body.into()), ..add.clone() };
    vec![
        (create.clone().body(&json!({ "id": "c1", "metadata": { "a b": "x&y=z%25+ü,," } })), 200),
        (add.clone().body(&message), 200),
        (Sent { base64: true, ..add.clone().body(&message) }, 200),
        (Sent { base64: true, ..body("{") }, 400),
        (body(""), 400),
        (create.clone().body(&json!({ "id": "c2", "foo": null })), 400),
        (create.clone().body(&many_fields()), 400),
        (Sent { headers: vec![("X-Owner-Id", "ann")], ..body("{}") }, 415),
        (sent("get", "GET", "/v1/conversations/c1"), 200),
        (sent("get", "GET", "/v1/conversations/c%31"), 200),
        (sent("get", "GET", "/v1/conversations/c2"), 404),
        (messages.clone(), 200),
        (messages.clone().query(&[("limit", "1"), ("after", "0")]), 200),
        (messages.clone().query(&[("before", "5"), ("after", "0")]), 400),
        (messages.query(&[("limit", "")]), 400),
        (record("PUT").header("If-None-Match", "*").body(&json!("%")), 412),
        (Sent { base64: true, ..record("PUT").header("Idempotency-Key", "k3").body(&json!("%")) }, 200),
        (record("GET"), 200),
        (record("GET").header("If-None-Match", "*"), 304),
        (sent("records", "GET", "/v1/records").query(&[("key", "a/b%41?+ü"), ("prefix", "zz")]), 200),
        (list.clone().query(&[("metadata[a b]", "x&y=z%25+ü,,")]), 200),
        (list.clone().query(&[("metadata[a b]", "x")]), 200),
        (list.header("Host", "a b[:99999999").header("X-Forwarded-Proto", "://"), 200),
        (Sent { headers: Vec::new(), ..sent("list", "GET", "/v1/conversations") }, 401),
        (sent("list", "GET", "/nowhere"), 404),
        (sent("list", "GET", "/v1/conversations/"), 404),
        (sent("list", "PUT", "/v1/conversations"), 405),
        (sent("get", "GET", "/v1/health"), 200),
    ]
}

#[tokio::test]
async fn a_request_is_answered_alike_through_every_front_end() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let lambda = functions(&stack, folder.path()).await;
    for (sent, status) in requests() {
        // Once before: what is found in Postgres by the first is found in Redis by the second.
        answer(&lambda, sent.function, &HttpApi.event(&sent)).await;
        let expected = answer(&lambda, sent.function, &HttpApi.event(&sent)).await;
        assert_eq!(expected["statusCode"], status, "{sent:?}: {expected}");
        assert_eq!(expected["isBase64Encoded"], false);
        for front_end in ALL {
            let mut given = answer(&lambda, sent.function, &front_end.event(&sent)).await;
            if matches!(front_end, LoadBalancer | LoadBalancerMulti) {
                let fields = given.as_object_mut().unwrap();
                let description = fields.remove("statusDescription").unwrap();
                assert!(description.as_str().unwrap().starts_with(&format!("{status} ")), "{description}");
                let multi = fields.remove("multiValueHeaders").unwrap();
                let headers = given["headers"].as_object().unwrap();
                let as_multi: Map<String, Value> =
                    headers.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
                assert_eq!(multi, Value::from(as_multi), "{sent:?}");
            }
            assert_eq!(given, expected, "{front_end:?}: {sent:?}");
        }
    }
    let filtered = answer(
        &lambda,
        "list",
        &LoadBalancer.event(&requests().iter().find(|(sent, _)| sent.function == "list").unwrap().0),
    )
    .await;
    assert!(filtered["body"].as_str().unwrap().contains("\"c1\""), "the filter found it: {filtered}");

    // Of two owners none is taken, whichever a front end passes on first.
    let two = sent("list", "GET", "/v1/conversations").header("X-Owner-Id", "eve");
    for front_end in [RestApi, LoadBalancerMulti] {
        assert_eq!(answer(&lambda, "list", &front_end.event(&two)).await["statusCode"], 401, "{front_end:?}");
    }

    // Two values of one name are seen where the front end hands both on.
    let twice = sent("list", "GET", "/v1/conversations").query(&[("metadata[a]", "1"), ("metadata[a]", "2")]);
    for front_end in [HttpApi, FunctionUrl, RestApi, LoadBalancerMulti] {
        assert_eq!(
            answer(&lambda, "list", &front_end.event(&twice)).await["statusCode"],
            400,
            "{front_end:?}"
        );
    }
}

#[tokio::test]
async fn a_page_is_as_large_as_its_front_end_takes() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let lambda = functions(&stack, folder.path()).await;
    let message = json!({ "role": "user", "content": "\"".repeat(100_000) });
    for _ in 0..12 {
        let add = sent("add", "POST", "/v1/conversations/long/messages").body(&message);
        assert_eq!(answer(&lambda, "add", &HttpApi.event(&add)).await["statusCode"], 200);
    }
    for (function, method, path) in [
        ("recent", "GET", "/v1/conversations/long/messages"),
        ("recent", "GET", "/v1/conversations/long/items"),
    ] {
        let read = sent(function, method, path).query(&[("limit", "100")]);
        for front_end in ALL {
            let event = front_end.event(&read).to_string();
            let answer = lambda.invoke(function, event.into()).await.unwrap();
            let most =
                if matches!(front_end, LoadBalancer | LoadBalancerMulti) { 1_000_000 } else { 6_000_000 };
            assert!(answer.len() <= most, "{front_end:?}: {}", answer.len());
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            let page: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            let whole = page["data"].as_array().unwrap().len() == 12;
            assert_eq!((whole, page["has_more"].as_bool().unwrap()), (most > 1_000_000, most <= 1_000_000));
        }
    }
}

/// Who is taken to have sent an event, or the code of what is wrong.
fn owner_of(event: &Value) -> Option<String> {
    let identity = IdentityConfig::Jwt { claim: "sub".into() };
    let event: HttpEvent = serde_json::from_str(&event.to_string()).unwrap();
    let mut request = ApiRequest::read(event, &identity).unwrap();
    request.owner().ok().map(|owner| owner.as_str().to_owned())
}

#[test]
fn an_owner_is_whom_the_authorizer_of_a_front_end_names_and_nobody_whom_a_header_names() {
    let list = sent("list", "GET", "/v1/conversations")
        .header("X-Amzn-Oidc-Identity", "eve")
        .header("X-Amzn-Oidc-Data", "eve")
        .header("Sub", "eve");
    for front_end in ALL {
        assert_eq!(owner_of(&front_end.event(&list)), None, "{front_end:?}");
    }
    let with = |front_end: FrontEnd, authorizer: Value| {
        let mut event = front_end.event(&list);
        event["requestContext"]["authorizer"] = authorizer;
        owner_of(&event)
    };
    let ann = Some("ann".to_owned());
    assert_eq!(with(HttpApi, json!({ "jwt": { "claims": { "sub": "ann" }, "scopes": null } })), ann);
    assert_eq!(with(HttpApi, json!({ "lambda": { "sub": "ann" } })), ann, "an authorizer function");
    assert_eq!(with(HttpApi, json!({ "jwt": { "claims": {} }, "lambda": { "sub": "eve" } })), None);
    assert_eq!(with(HttpApi, json!({ "jwt": { "claims": { "sub": "" } } })), None);
    assert_eq!(with(RestApi, json!({ "claims": { "sub": "ann" } })), ann, "Cognito");
    assert_eq!(with(RestApi, json!({ "principalId": "p", "sub": "ann", "integrationLatency": 1 })), ann);
    assert_eq!(with(RestApi, json!({ "principalId": "p" })), None);
    assert_eq!(with(FunctionUrl, json!({ "iam": { "userId": "ann" } })), None);
    assert_eq!(with(LoadBalancer, json!({ "claims": { "sub": "eve" } })), None);
}

proptest! {
    #[test]
    fn nothing_in_an_event_ends_the_function(
        front_end in prop::sample::select(ALL.to_vec()), text in ".{0,20}|[ -~]{0,20}|.{60000,70000}", field in 0..9_usize,
    ) {
        let mut event = front_end.event(&sent("list", "GET", "/v1/conversations"));
        let text = Value::from(text);
        match field {
            0 => for path in ["path", "rawPath"] { event[path] = text.clone() },
            1 => event["rawQueryString"] = text,
            2 => for query in ["queryStringParameters", "multiValueQueryStringParameters"] { event[query] = json!({ "a": [text] }) },
            3 => event["headers"] = json!({ "host": text }),
            4 => event["multiValueHeaders"] = json!({ "host": [text], "x-forwarded-proto": [text] }),
            5 => event["requestContext"]["stage"] = text,
            6 => event["requestContext"]["domainName"] = text,
            7 => (event["body"], event["isBase64Encoded"]) = (text, true.into()),
            _ => event["headers"] = json!({ "x-forwarded-proto": text, "host": "h" }),
        }
        let identity = IdentityConfig::TrustedHeader { default_owner: None };
        let read = || serde_json::from_str::<HttpEvent>(&event.to_string()).map(|event| ApiRequest::read(event, &identity).is_ok());
        prop_assert!(catch_unwind(AssertUnwindSafe(read)).is_ok(), "{event}");
    }
}
