//! `make run` and `make watch`, as a newcomer starts them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use conversation_local::{function_names, workspace};
use conversation_tests::{Stack, free_port, functions_folder, port_of};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) struct Run {
    process: Child,
    lines: std::sync::mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Run {
    pub(crate) fn start(port: u16, folder: &Path, more: &[(&str, &str)]) -> Self {
        Self::start_as("run", port, folder, more)
    }

    pub(crate) fn start_as(command: &str, port: u16, folder: &Path, more: &[(&str, &str)]) -> Self {
        let mut process = Command::new(functions_folder().join("conversation-local"))
            .arg(command)
            .env_remove("DATABASE_URL")
            .env_remove("REDIS_URL")
            .env("PORT", port.to_string())
            .env("LOCAL_DIR", folder)
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        for stream in [
            Box::new(process.stdout.take().unwrap()) as Box<dyn std::io::Read + Send>,
            Box::new(process.stderr.take().unwrap()),
        ] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { process, lines, said: Vec::new() }
    }

    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(240);
        while Instant::now() < deadline {
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(100)) {
                self.said.push(line.clone());
                if line.contains(text) {
                    return line;
                }
            }
        }
        panic!("{text:?} was not said:\n{}", self.said.join("\n"));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.process.id(), signal);
    }

    /// The processes that it has started itself, by name.
    pub(crate) fn processes(&self) -> BTreeMap<String, Vec<u32>> {
        let children =
            Command::new("pgrep").args(["-l", "-P", &self.process.id().to_string()]).output().unwrap();
        let mut processes = BTreeMap::<_, Vec<_>>::new();
        for line in String::from_utf8(children.stdout).unwrap().lines() {
            let (pid, name) = line.split_once(' ').unwrap();
            processes.entry(name.to_owned()).or_default().push(pid.parse().unwrap());
        }
        processes
    }

    /// What it says from now on until it ends.
    fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) {
            rest.push(line);
        }
        rest
    }

    pub(crate) fn end(&mut self) -> i32 {
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::TERM);
            let _ = self.process.wait();
        }
    }
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Whether a process runs. One that has ended and that nobody has asked about does not.
fn runs(pid: u32) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

pub(crate) fn setting(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join("env")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
}

async fn post(url: &str) -> u16 {
    let client = Client::new().post(format!("{url}/v1/conversations/hello/messages"));
    let request = client.header("content-type", "application/json").body(r#"{"role":"user","content":"Hi"}"#);
    request.send().await.unwrap().status().as_u16()
}

async fn get(url: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{url}/v1/conversations/hello/messages")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_restart_and_everything_stops_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut run = Run::start(port, folder.path(), &[]);
    run.wait_for("Ready in");
    run.wait_for("Ctrl-C stops everything");
    assert_eq!(run.said.iter().filter(|line| line.contains("  curl ")).count(), 3);
    assert_eq!(setting(folder.path(), "API_URL"), url);
    assert_eq!(setting(folder.path(), "INVOKE_URL"), url);
    assert_eq!(setting(folder.path(), "AUTH_MODE"), "trusted_header");
    assert_eq!(setting(folder.path(), "DEFAULT_OWNER"), "local");
    assert_eq!(post(&url).await, 200);
    let (_, before) = get(&url).await;

    let mut second = Run::start(free_port(), folder.path(), &[]);
    second.wait_for("is in use by another run");
    assert_eq!(second.end(), 1);
    let mut third = Run::start(port, &folder.path().join("other"), &[]);
    third.wait_for(&format!("port {port} cannot be used"));
    assert_eq!(third.end(), 1);

    let (database, redis) = (setting(folder.path(), "DATABASE_URL"), setting(folder.path(), "REDIS_URL"));
    run.signal(Signal::INT);
    assert_eq!(run.end(), 0, "{}", run.said.join("\n"));
    for server in [url.as_str(), &database, &redis] {
        let address = server.rsplit('@').next().unwrap().trim_start_matches("http://");
        let address = address.split('/').next().unwrap();
        assert!(std::net::TcpStream::connect(address).is_err(), "{server} still listens");
    }

    let mut run = Run::start(port, folder.path(), &[]);
    run.wait_for("Ready in");
    assert_eq!(get(&url).await, (200, before));
    let (client, _) = (redis::Client::open(setting(folder.path(), "REDIS_URL")).unwrap(), ());
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // A server that goes away takes the run with it, with a line that says so.
    let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").exec_async(&mut connection).await;
    let line = run.wait_for("error: Valkey has stopped");
    assert!(line.contains("start it again"), "{line}");
    assert_eq!(run.end(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_ones_own_are_used_and_left_running() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let own = [("DATABASE_URL", stack.database_url.as_str()), ("REDIS_URL", &stack.valkey.url())];
    let mut run = Run::start(port, folder.path(), &own);
    run.wait_for("Ready in");
    assert_eq!(post(&format!("http://127.0.0.1:{port}")).await, 200);
    assert_eq!(setting(folder.path(), "REDIS_URL"), stack.valkey.url());
    run.signal(Signal::TERM);
    assert_eq!(run.end(), 0);
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut stack.redis().await).await.unwrap();
    assert!(keys > 0);
}

/// The functions, so that each finds what it asks for, and the deletion comes last.
const IN_ORDER: [&str; 10] =
    ["add", "recent", "update", "get", "list", "records", "sweep", "migrate", "probe", "delete"];

/// Invokes a function with its sample event, which must succeed.
async fn invoke(url: &str, function: &str) {
    let event = std::fs::read(workspace().join(format!("examples/events/{function}.json"))).unwrap();
    let invocation = Client::new().post(format!("{url}/2015-03-31/functions/{function}/invocations"));
    let answer = invocation.body(event).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{function}: {text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let has_no_status = ["sweep", "migrate", "probe"].contains(&function);
    let expected = if has_no_status { Value::Null } else { 200.into() };
    assert_eq!(answer["statusCode"], expected, "{function}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_runs_before_its_first_call_and_again_after_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut run = Run::start(port, folder.path(), &[]);
    run.wait_for("Ctrl-C stops everything");

    let names = function_names().unwrap();
    assert_eq!(names.len(), IN_ORDER.len(), "{names:?}");
    let of_functions = |run: &Run| {
        let mut processes = run.processes();
        processes.retain(|name, _| names.contains(name));
        processes
    };
    let at_first = of_functions(&run);
    assert!(at_first.keys().eq(&names), "{at_first:?}");
    for function in IN_ORDER.iter().filter(|function| **function != "delete") {
        let began = Instant::now();
        invoke(&url, function).await;
        conversation_tests::report(&format!("first call of {function}: {} ms", began.elapsed().as_millis()));
    }
    assert_eq!(of_functions(&run), at_first, "the first calls started no process");

    for function in IN_ORDER {
        for pid in &of_functions(&run)[function] {
            send(*pid, Signal::KILL);
        }
        invoke(&url, function).await;
        run.wait_for(&format!("{function}: its process has ended (signal: 9"));
    }
    // One is there again without a call as well.
    let killed = of_functions(&run)["get"].clone();
    killed.iter().for_each(|pid| send(*pid, Signal::KILL));
    let deadline = Instant::now() + Duration::from_secs(20);
    while of_functions(&run).get("get").is_none_or(|pids| pids.iter().any(|pid| killed.contains(pid))) {
        assert!(Instant::now() < deadline, "it was not replaced");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let afterwards = of_functions(&run);
    assert!(afterwards.iter().all(|(name, pids)| !pids.is_empty() && *pids != at_first[name]));

    // Nothing outlives it, even if it has no time to stop anything.
    let servers = ["DATABASE_URL", "REDIS_URL"].map(|name| setting(folder.path(), name));
    run.signal(Signal::KILL);
    let deadline = Instant::now() + Duration::from_secs(20);
    let listens = |url: &String| std::net::TcpStream::connect(("127.0.0.1", port_of(url))).is_ok();
    while afterwards.values().flatten().any(|pid| runs(*pid)) || servers.iter().any(listens) {
        assert!(Instant::now() < deadline, "something is left of {afterwards:?} or {servers:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_killed_ends_the_run_with_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    for store in ["PostgreSQL", "Valkey"] {
        let mut run = Run::start(free_port(), folder.path(), &[]);
        run.wait_for("Ctrl-C stops everything");
        let pid = if store == "Valkey" {
            let client = redis::Client::open(setting(folder.path(), "REDIS_URL")).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let info: redis::InfoDict =
                redis::cmd("INFO").arg("server").query_async(&mut connection).await.unwrap();
            info.get("process_id").unwrap()
        } else {
            let lines = std::fs::read_to_string(folder.path().join("postgres/data/postmaster.pid")).unwrap();
            lines.lines().next().unwrap().parse().unwrap()
        };
        send(pid, Signal::KILL);
        let said = run.rest();
        let said: Vec<_> = said.iter().filter(|line| !["", "Stopping."].contains(&line.as_str())).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        let expected = format!("error: {store} was killed by signal 9");
        assert!(said[0].starts_with(&expected) && said[0].ends_with("start it again"), "{said:?}");
        assert_eq!(run.end(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn make_watch_serves_through_cargo_lambda_and_says_how_to_invoke_a_function() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut run = Run::start_as("watch", port, folder.path(), &[]);
    let command = run.wait_for("cargo lambda invoke add");
    run.wait_for("Ctrl-C stops everything");
    // As it was printed, in the checkout.
    let mut shell = Command::new("sh");
    shell.args(["-c", command.trim()]).current_dir(workspace()).env_remove("CARGO_MANIFEST_DIR");
    let output = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command}: {output:?}");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["statusCode"], 200, "{said}");
    // The routes and the stores are those of `make run`, and the functions are those of cargo-lambda.
    assert_eq!(post(&url).await, 200);
    assert_eq!(get(&url).await.0, 200);
    assert_ne!(setting(folder.path(), "FUNCTIONS_URL"), url);
    let names = function_names().unwrap();
    assert!(run.processes().keys().all(|name| !names.contains(name)));
    run.signal(Signal::INT);
    assert_eq!(run.end(), 0, "{}", run.said.join("\n"));
}
