//! Who may know whom, and what is opened when.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use conversation_functions::ROUTES;
use conversation_local::{Routes, workspace};
use conversation_tests::architecture::{circles, names};
use conversation_tests::contract::template_routes;
use conversation_tests::{Stack, user};

fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&workspace().join(folder), &mut found);
    assert!(!found.is_empty(), "{folder}");
    found
}

#[test]
fn print_it() {
    for sources in
        ["core/src", "functions/src", "cli/src", "local/src", "model/src", "bench/src", "tests/src"]
    {
        let names = names(&workspace(), sources).unwrap();
        println!("=== {sources}");
        for (file, named) in &names.files {
            println!("{file}: {:?} | {:?}", named, names.crates[file]);
        }
        for circle in circles(&names) {
            println!("CIRCLE {circle:?}");
        }
    }
}

#[test]
fn the_route_table_is_the_watch_table() {
    let of_functions: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method, route.path, route.function)).collect();
    let watch = Routes::load().unwrap();
    assert_eq!(watch.all().collect::<BTreeSet<_>>(), of_functions);
}

#[test]
fn the_templates_routes_are_the_route_table() {
    let expected = ROUTES.iter().map(|route| (route.method.into(), route.path.into(), route.function.into()));
    assert_eq!(template_routes().unwrap(), expected.collect());
}

#[tokio::test]
async fn a_deployment_migrates_by_invoking_the_function() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert_eq!(api.lambda.invoke("migrate", "{}".into()).await.unwrap(), r#"{"more":false}"#);
    assert!(api.log().contains("the schema is up to date"), "{}", api.log());
}

#[tokio::test]
async fn readers_of_what_is_cached_hold_no_database_connection() {
    let stack = Stack::start().await;
    assert_eq!(stack.api().await.post("/v1/conversations/c/messages", user("x")).await.status, 200);
    let api = stack.api().await;
    assert!(api.get("/v1/conversations/c/messages").await.is_hit());
    assert!(api.get("/v1/conversations/c").await.is_hit());
    let count = "select count(*) from pg_stat_activity where datname = current_database()
        and application_name = 'conversation-store' and pid <> pg_backend_pid() and backend_start > now() - interval '1 hour'";
    let mut postgres = stack.postgres().await;
    // The first API's add holds one until its process has ended.
    let mut held: i64 = 0;
    for _ in 0..50 {
        held = sqlx::query_scalar(count).fetch_one(&mut postgres).await.unwrap();
        if held == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(held, 0);
}

#[tokio::test]
async fn lists_need_no_redis() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("REDIS_URL", "")]).await;
    assert_eq!(api.get("/v1/conversations").await.status, 200);
    let before: i64 = connections(&stack).await;
    assert_eq!(before, 1, "only this test's own connection");
}

async fn connections(stack: &Stack) -> i64 {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut stack.redis().await).await.unwrap();
    i64::try_from(list.lines().count()).unwrap()
}

/// What the crate's documentation names as shown by a test is shown by one of that name.
#[test]
fn the_tests_that_show_the_guarantees_are_there() {
    let guarantees = fs::read_to_string(workspace().join("core/src/lib.rs")).unwrap();
    let named: Vec<_> = guarantees.split('`').filter_map(|name| name.split_once("::")).collect();
    let mut found = 0;
    for (file, test) in named {
        let Ok(tests) = fs::read_to_string(workspace().join(format!("tests/it/{file}.rs"))) else { continue };
        assert!(tests.contains(&format!("fn {test}(")), "{file}::{test}");
        found += 1;
    }
    assert!(found >= 7, "{found}");
}
