//! Sessions of the Rig framework, kept in the store over its plain HTTP API and held to `rig-memory`'s own contract.
//!
//! Rig keeps a session as logs and files of bytes. A write to a log names the length that its writer has read, and is to be
//! done only if the log is still that long, in one step. Here a log is a conversation, and each of its records says how long
//! the log is with it. So the newest record answers the length, its `ETag` the version at which the log is that long, and
//! `If-Match` makes the write depend on that.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, ETAG};
use reqwest::{Client, Method, Response, StatusCode};
use rig_memory::conformance::check_store;
use rig_memory::{AsyncStore, LogWriteError, check_log_name, check_name};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

/// How many bytes a record holds. As JSON they are at most six times as many, and a message may have 256 KiB.
const RECORD: usize = 32 * 1024;
/// The longest pause before a request is sent again.
const PATIENCE: Duration = Duration::from_secs(1);

type LogWrite = std::result::Result<(), LogWriteError>;

/// Rig's storage of one session.
struct SessionStore {
    http: Client,
    /// The address of all conversations.
    conversations: String,
    /// Begins the ids of this session's conversations.
    session: String,
}

/// What a write depends on.
#[derive(Clone, Copy)]
enum If {
    Absent,
    Version(u64),
    Present,
}

impl SessionStore {
    fn new(api: &str, session: &str) -> Self {
        let conversations = format!("{api}/v1/conversations");
        Self { http: Client::new(), conversations, session: session.to_owned() }
    }

    /// The id of the conversation that is a log or a file. A name may have characters that an id may not, like `/`.
    fn id(&self, kind: &str, name: &str) -> String {
        let escaped = name.bytes().map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("={byte:02X}"),
        });
        format!("{}:{kind}:{}", self.session, escaped.collect::<String>())
    }

    /// Reads a page and the version that it is of; none where there is no conversation.
    async fn get(&self, path: &str) -> Result<Option<(u64, Value)>> {
        let answer = self.send(Method::GET, path, If::Present, None).await?;
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        match (answer.status(), tag.trim_matches('"').parse()) {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (StatusCode::OK, Ok(version)) => {
                let body = answer.bytes().await.map_err(Error::other)?;
                Ok(Some((version, serde_json::from_slice(&body)?)))
            }
            _ => Err(unexpected(answer).await),
        }
    }

    /// Sends a request until it is answered. Under its key a write is done once, however often it is sent.
    async fn send(&self, method: Method, path: &str, condition: If, body: Option<Value>) -> Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.conversations));
        if let Some(body) = body {
            request = request.header("idempotency-key", Uuid::new_v4().to_string());
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        request = match condition {
            If::Absent => request.header("if-none-match", "*"),
            If::Version(version) => request.header("if-match", format!("\"{version}\"")),
            If::Present => request,
        };
        let mut pause = Duration::from_millis(50);
        loop {
            let request = request.try_clone().ok_or(ErrorKind::Unsupported)?;
            let failed = match request.send().await {
                Ok(answer) if answer.status() != StatusCode::SERVICE_UNAVAILABLE => return Ok(answer),
                Ok(answer) => unexpected(answer).await,
                Err(error) => Error::other(error),
            };
            if pause > PATIENCE {
                return Err(failed);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// Reads everything as it was at one version: where that changes between two pages, it begins again.
    async fn read(&self, id: &str) -> Result<Vec<u8>> {
        let (mut bytes, mut after, mut began) = (Vec::new(), 0, None);
        loop {
            let page = self.get(&format!("/{id}/messages?after={after}&limit=100")).await?;
            let (version, page) = page.ok_or(ErrorKind::NotFound)?;
            if *began.get_or_insert(version) != version {
                (bytes, after, began) = (Vec::new(), 0, None);
                continue;
            }
            for record in page["data"].as_array().into_iter().flatten() {
                let text = record["bytes"].as_str().unwrap_or_default();
                let these: std::result::Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                bytes.extend(these.map_err(Error::other)?);
            }
            if page["has_more"] != true {
                return Ok(bytes);
            }
            after = page["after"].as_i64().ok_or(ErrorKind::InvalidData)?;
        }
    }

    /// Writes these bytes after the first `kept`, which are all or none, in one commit. Says whether the condition held.
    async fn write(&self, id: &str, condition: If, kept: u64, bytes: &[u8]) -> Result<bool> {
        let mut end = kept;
        let records = bytes.chunks(RECORD).map(|bytes| {
            end += bytes.len() as u64;
            // Each byte is the character of its number: JSON has no bytes, and what is text stays readable.
            let text: String = bytes.iter().copied().map(char::from).collect();
            json!({"type": "rig_record", "end": end, "bytes": text})
        });
        let records: Vec<_> = records.collect();
        let (method, path) = match condition {
            If::Absent => (Method::POST, String::new()),
            _ if kept > 0 => (Method::POST, format!("/{id}/messages")),
            _ => (Method::PUT, format!("/{id}/messages?after=0")),
        };
        let body = match condition {
            If::Absent => json!({"id": id, "messages": records}),
            _ => json!({ "messages": records }),
        };
        let answer = self.send(method, &path, condition, Some(body)).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND => Ok(false),
            _ => Err(unexpected(answer).await),
        }
    }

    async fn write_log(&self, name: &str, len: u64, keep: bool, bytes: &[u8]) -> LogWrite {
        check_log_name(name)?;
        let id = self.id("log", name);
        loop {
            let newest = self.get(&format!("/{id}/messages?limit=1")).await?;
            let end = newest.as_ref().and_then(|(_, page)| page["data"][0]["end"].as_u64());
            if end.unwrap_or(0) != len {
                return Err(LogWriteError::Changed);
            }
            let condition = match newest {
                None => If::Absent,
                // Nothing added to a log that is there changes nothing.
                Some(_) if keep && bytes.is_empty() => return Ok(()),
                Some((version, _)) => If::Version(version),
            };
            if self.write(&id, condition, if keep { len } else { 0 }, bytes).await? {
                return Ok(());
            }
            // Another was faster. It may have left the length as it was: that is what counts, and is looked at again.
        }
    }
}

impl AsyncStore for SessionStore {
    async fn read_log_async(&self, name: &str) -> Result<Vec<u8>> {
        check_log_name(name)?;
        self.read(&self.id("log", name)).await
    }

    async fn append_log_async(&self, name: &str, len: u64, bytes: &[u8]) -> LogWrite {
        self.write_log(name, len, true, bytes).await
    }

    async fn replace_log_async(&self, name: &str, len: u64, bytes: &[u8]) -> LogWrite {
        self.write_log(name, len, false, bytes).await
    }

    async fn read_file_async(&self, name: &str) -> Result<Vec<u8>> {
        check_name(name)?;
        self.read(&self.id("file", name)).await
    }

    async fn write_file_async(&self, name: &str, bytes: &[u8]) -> Result<()> {
        check_name(name)?;
        let id = self.id("file", name);
        // Of several first writers one creates it, and the others then replace it.
        loop {
            for condition in [If::Present, If::Absent] {
                if self.write(&id, condition, 0, bytes).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// What the store said was wrong.
async fn unexpected(answer: Response) -> Error {
    let status = answer.status();
    Error::other(format!("{status}: {}", answer.text().await.unwrap_or_default()))
}

/// Two handles to the storage of a new session, each with connections of its own.
fn handles() -> [SessionStore; 2] {
    let api = std::env::var("API_URL").unwrap_or_else(|_| "http://127.0.0.1:9000".to_owned());
    let session = Uuid::new_v4().to_string();
    [(); 2].map(|()| SessionStore::new(&api, &session))
}

#[tokio::test]
async fn a_session_of_rig_is_kept_as_its_contract_says() {
    let [a, b] = handles();
    check_store(&a, &b).await.unwrap();
}

#[tokio::test]
async fn a_log_of_several_pages_is_read_whole_while_it_is_written() {
    let [writer, reader] = handles();
    let log: Vec<u8> = (0..120 * RECORD).map(|at| b"0123456789abcde\n"[at % 16]).collect();
    let (first, second) = log.split_at(60 * RECORD);
    writer.append_log_async("long", 0, first).await.unwrap();
    let append = writer.append_log_async("long", first.len() as u64, second);
    let (appended, read) = tokio::join!(append, reader.read_log_async("long"));
    appended.unwrap();
    let read = read.unwrap();
    assert!(read == first || read == log, "{} bytes", read.len());
    assert!(reader.read_log_async("long").await.unwrap() == log);
    // A compaction puts a shorter log in its place, of which no reader may see a mixture.
    let replace = writer.replace_log_async("long", log.len() as u64, b"short\n");
    let (replaced, read) = tokio::join!(replace, reader.read_log_async("long"));
    replaced.unwrap();
    let read = read.unwrap();
    assert!(read == log || read == b"short\n", "{} bytes", read.len());
    assert_eq!(reader.read_log_async("long").await.unwrap(), b"short\n");
}
