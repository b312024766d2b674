//! The storage of sessions, held to `rig-memory`'s own contract.

use conversation_client::Client;
use conversation_client::rig::{CHUNK, SessionStore};
use rig_memory::AsyncStore as _;
use rig_memory::conformance::check_store;
use uuid::Uuid;

/// Two handles to the storage of a new session, each with connections of its own.
fn handles() -> [SessionStore; 2] {
    let api = std::env::var("API_URL").unwrap_or_else(|_| "http://127.0.0.1:9000".to_owned());
    let session = Uuid::new_v4().to_string();
    [(); 2].map(|()| SessionStore::new(Client::new(&api).unwrap(), &session))
}

#[tokio::test]
async fn a_session_of_rig_is_kept_as_its_contract_says() {
    let [a, b] = handles();
    check_store(&a, &b).await.unwrap();
}

#[tokio::test]
async fn a_log_of_several_pages_is_read_whole_while_it_is_written() {
    let [writer, reader] = handles();
    let log: Vec<u8> = (0..120 * CHUNK).map(|at| b"0123456789abcde\n"[at % 16]).collect();
    let (first, second) = log.split_at(60 * CHUNK);
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
