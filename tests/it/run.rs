//! `make run`, as a newcomer starts it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use conversation_tests::{Stack, free_port, functions_folder};
use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Run {
    process: Child,
    lines: std::sync::mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Run {
    pub(crate) fn start(port: u16, folder: &Path, more: &[(&str, &str)]) -> Self {
        let mut process = Command::new(functions_folder().join("conversation-local"))
            .arg("run")
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
        kill_process(Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap(), signal).unwrap();
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

pub(crate) fn setting(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join("env")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
}

async fn post(url: &str) -> u16 {
    let client = reqwest::Client::new().post(format!("{url}/v1/conversations/hello/messages"));
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
    assert!(line.contains("start again with make run"), "{line}");
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
