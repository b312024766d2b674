//! Who may know whom, and what is opened when.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use conversation_functions::ROUTES;
use conversation_local::{Routes, workspace};
use conversation_tests::architecture::{circles, names};
use conversation_tests::contract::template_routes;
use conversation_tests::{Stack, user};

/// A row of the table in ARCHITECTURE: some files, and what they may name.
struct Room {
    name: String,
    /// The beginnings of its files' paths; what begins with a longer one of another room belongs to that.
    files: Vec<String>,
    rooms: BTreeSet<String>,
    /// Of the libraries that belong to one side of the house, those that it may name.
    libraries: BTreeSet<String>,
}

/// What not everybody may name: a store's driver, the environment, HTTP, and Lambda.
const GUARDED: [&str; 5] = ["sqlx", "redis", "http", "lambda_http", "lambda_runtime"];
const CRATES: [&str; 6] =
    ["core/src", "functions/src", "cli/src", "clients/rust/src", "local/src", "bench/src"];

/// The table that ARCHITECTURE shows.
fn rooms() -> Vec<Room> {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let named = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = text.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let set = |at: usize| named(cells[at]).into_iter().collect();
        Room { name: named(cells[1]).remove(0), files: named(cells[2]), rooms: set(3), libraries: set(4) }
    });
    rows.collect()
}

/// The room of a file: the one that names most of its path.
fn room_of<'a>(rooms: &'a [Room], file: &str) -> &'a Room {
    let fits = |room: &Room| {
        room.files.iter().filter(|beginning| file.starts_with(beginning.as_str())).map(String::len).max()
    };
    let room = rooms.iter().filter(|room| fits(room).is_some()).max_by_key(|room| fits(room));
    room.unwrap_or_else(|| panic!("{file} is in no room of ARCHITECTURE's table"))
}

#[test]
fn files_name_what_their_room_may_name() {
    let rooms = rooms();
    assert!(rooms.len() > 10);
    for (at, room) in rooms.iter().enumerate() {
        for below in &room.rooms {
            let place = rooms.iter().position(|other| other.name == *below);
            assert!(
                place.is_some_and(|place| place > at),
                "{} may name {below}, which is not below it",
                room.name
            );
        }
    }
    let mut wrong = Vec::new();
    for sources in CRATES {
        let names = names(workspace(), sources).unwrap();
        for (file, named) in &names.files {
            let room = room_of(&rooms, file);
            for other in named {
                let their = &room_of(&rooms, other).name;
                if *their != room.name && !room.rooms.contains(their) {
                    wrong.push(format!("{file} ({}) names {other} ({their})", room.name));
                }
            }
            for library in names.crates[file].iter().filter(|name| GUARDED.contains(&name.as_str())) {
                if !room.libraries.contains(library) {
                    wrong.push(format!("{file} ({}) names {library}", room.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    for sources in CRATES.into_iter().chain(["model/src", "tests/src"]) {
        let found = circles(&names(workspace(), sources).unwrap());
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// An arrow that goes up is seen in every form that Rust has for it.
#[test]
fn whatever_way_a_file_is_named_it_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join("src").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; pub use b::Handed;");
    write(
        "b.rs",
        "mod inner; pub use inner::Handed; pub struct B; #[macro_export] macro_rules! m { () => {} }",
    );
    write("b/inner.rs", "pub struct Handed;");
    for (text, named) in [
        ("use crate::b::B;", "src/b.rs"),
        ("use super::b;", "src/b.rs"),
        ("use crate::{b as other};", "src/b.rs"),
        ("use crate::b::*;", "src/b.rs"),
        ("fn f() -> crate::b::B { loop {} }", "src/b.rs"),
        ("fn f() { println!(\"{}\", crate::b::B::x()) }", "src/b.rs"),
        ("use crate::Handed;", "src/b/inner.rs"),
        ("use crate::b::Handed;", "src/b/inner.rs"),
        ("impl From<crate::b::B> for u8 {}", "src/b.rs"),
    ] {
        write("a.rs", text);
        let found = names(folder.path(), "src").unwrap();
        assert!(found.files["src/a.rs"].contains(named), "{text}: {:?}", found.files["src/a.rs"]);
    }
    write("a.rs", "#[cfg(test)] mod tests { use crate::b::B; }");
    assert!(names(folder.path(), "src").unwrap().files["src/a.rs"].is_empty());
    write("a.rs", "use crate::b::B; pub struct A;");
    write("b/inner.rs", "use crate::a::A; pub struct Handed;");
    assert!(circles(&names(folder.path(), "src").unwrap()).is_empty(), "B is not in inner.rs");
    write("b.rs", "mod inner; use crate::a::A; pub struct B;");
    assert_eq!(circles(&names(folder.path(), "src").unwrap()).len(), 1);
}

#[test]
fn the_route_table_is_the_watch_table() {
    let of_functions: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method, route.path, route.operation.function())).collect();
    let watch = Routes::load().unwrap();
    let heads: BTreeSet<_> = of_functions
        .iter()
        .filter(|route| route.0 == "GET")
        .map(|route| ("HEAD", route.1, route.2))
        .collect();
    let all: Vec<_> = watch.all().collect();
    let all = all.iter().map(|(method, path, function)| (*method, path.as_str(), *function));
    assert_eq!(all.collect::<BTreeSet<_>>(), &of_functions | &heads);
}

/// With their feature `watch` the functions have every dependency with the features that the whole workspace has it with.
#[test]
fn cargo_lambda_watch_builds_no_dependency_again() {
    let dependencies = |selection: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "tree",
            "--offline",
            "--edges",
            // What build scripts and macros depend on is built for them, with features of its own.
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
        ]);
        let output = cargo.args(selection).current_dir(workspace()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let lines = said.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
        lines.filter(|line| !line.starts_with("conversation-functions ")).collect::<BTreeSet<_>>()
    };
    let built = dependencies(&["--workspace"]);
    let of_functions =
        |features| dependencies(&["--package", "conversation-functions", "--features", features]);
    assert_eq!(of_functions("watch").difference(&built).collect::<Vec<_>>(), [""; 0]);
    assert!(!of_functions("").is_subset(&built), "then the feature is not needed");
}

#[test]
fn the_readmes_routes_are_the_route_table() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let rows = readme.lines().skip_while(|line| !line.starts_with("| route |")).skip(2);
    let listed: BTreeSet<String> = rows
        .map_while(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(route, _)| route.replace("{id}", "{conversation_id}"))
        .collect();
    // One row says that the routes of owners' records are those of conversations' records.
    let listed: BTreeSet<String> = listed.into_iter().map(|route| route.replace("{key}", "{key+}")).collect();
    let expected = ROUTES.iter().filter(|route| !route.path.starts_with("/v1/records"));
    let expected = expected.map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(listed, expected.chain(["/v1/records...".to_owned()]).collect());
}

#[test]
fn the_templates_routes_are_the_route_table() {
    let expected = ROUTES
        .iter()
        .map(|route| (route.method.into(), route.path.into(), route.operation.function().into()));
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
