//! A server before the API that fails on purpose: as it is told, or at random.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conversation_tests::port_of;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What is done to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It arrives; its connection is closed without an answer.
    LoseAnswer,
    /// It arrives; its connection is closed in the middle of the answer.
    CutAnswer,
    /// It does not arrive; its connection is closed.
    LoseRequest,
    /// It does not arrive, and this is answered: a status, headers, and a body.
    Answer(u16, &'static str, &'static str),
    /// It is not answered.
    Silence,
    /// It is answered, and then the connection is closed.
    Close,
    /// It arrives a little later.
    Delay,
    /// It arrives twice.
    Double,
    /// It arrives, and again long after it was answered.
    DoubleLate,
}

/// What a server does at random, and how often in a hundred requests.
const AT_RANDOM: [(Fault, u8); 5] = [
    (Fault::LoseRequest, 2),
    (Fault::LoseAnswer, 2),
    (Fault::Delay, 2),
    (Fault::Double, 2),
    (Fault::DoubleLate, 1),
];

/// The server. It passes on what no fault is set for. Dropping it closes it.
pub(crate) struct Faulty {
    port: u16,
    shared: Arc<Shared>,
    listens: AbortHandle,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<VecDeque<Fault>>,
    /// Where requests fail at random.
    random: Option<Mutex<fastrand::Rng>>,
    /// How often each fault came at random.
    came: [AtomicU32; AT_RANDOM.len()],
    heads: Mutex<Vec<String>>,
    connections: AtomicU32,
}

impl Faulty {
    /// A server before the one at a URL, which does as it is told.
    pub(crate) async fn before(url: &str) -> Self {
        Self::with(url, Shared::default()).await
    }

    /// One that fails now and then, as a seed decides.
    pub(crate) async fn at_random(url: &str, seed: u64) -> Self {
        let random = Some(Mutex::new(fastrand::Rng::with_seed(seed)));
        Self::with(url, Shared { random, ..Shared::default() }).await
    }

    async fn with(url: &str, shared: Shared) -> Self {
        let target = port_of(&format!("{url}/"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(shared);
        let all = Arc::clone(&shared);
        let listens = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&all);
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move { serve(client, (port, target), &shared).await });
            }
        });
        Self { port, shared, listens: listens.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sets what happens to the next requests, and forgets those that came.
    pub(crate) fn set(&self, faults: &[Fault]) {
        *self.shared.faults.lock().unwrap() = faults.iter().copied().collect();
        self.shared.heads.lock().unwrap().clear();
    }

    /// Whether all that happens at random has happened.
    pub(crate) fn every_fault_came(&self) -> bool {
        self.shared.came.iter().all(|came| came.load(Ordering::SeqCst) > 0)
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> u32 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The first lines and headers of the requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        assert!(self.shared.faults.lock().unwrap().is_empty(), "some requests did not come");
        self.shared.heads.lock().unwrap().clone()
    }

    /// A header of each of the requests that came; empty where it was not there.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        self.heads().iter().map(|head| value(head, name).unwrap_or_default()).collect()
    }
}

impl Shared {
    /// What is done to the next request.
    fn next(&self) -> Option<Fault> {
        let told = self.faults.lock().unwrap().pop_front();
        told.or_else(|| {
            let mut at = self.random.as_ref()?.lock().unwrap().u8(0..100);
            AT_RANDOM.into_iter().zip(&self.came).find_map(|((fault, often), came)| {
                if at < often {
                    came.fetch_add(1, Ordering::SeqCst);
                    return Some(fault);
                }
                at -= often;
                None
            })
        })
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.listens.abort();
    }
}

/// One connection. It is over when this returns.
async fn serve(mut client: TcpStream, (port, target): (u16, u16), shared: &Shared) -> Option<()> {
    while let Some((head, body)) = message(&mut client).await {
        shared.heads.lock().unwrap().push(head.clone());
        let fault = shared.next();
        match fault {
            Some(Fault::LoseRequest) => return None,
            Some(Fault::Silence) => tokio::time::sleep(Duration::from_secs(60)).await,
            Some(Fault::Answer(status, headers, body)) => {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n{body}");
                client.write_all(answer.as_bytes()).await.ok()?;
            }
            _ => {
                // The front answers only those that ask for its own port.
                let head = head.replace(&format!(":{port}\r\n"), &format!(":{target}\r\n"));
                let request = [head.as_bytes(), &body].concat();
                if let Some(Fault::Delay) = fault {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let answer = pass_on(target, &request).await?;
                match fault {
                    Some(Fault::LoseAnswer) => return None,
                    Some(Fault::CutAnswer) => {
                        client.write_all(&answer[..answer.len() - 1]).await.ok()?;
                        return None;
                    }
                    Some(Fault::Double) => drop(pass_on(target, &request).await),
                    Some(Fault::DoubleLate) => drop(tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        pass_on(target, &request).await
                    })),
                    _ => (),
                }
                client.write_all(&answer).await.ok()?;
                if let Some(Fault::Close) = fault {
                    return None;
                }
            }
        }
    }
    None
}

/// Sends a request to the server at a port, and returns its answer.
async fn pass_on(target: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", target)).await.ok()?;
    server.write_all(request).await.ok()?;
    let (head, body) = message(&mut server).await?;
    Some([head.as_bytes(), &body].concat())
}

/// Reads one request or answer: its first line and headers, and its body.
async fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length: usize = value(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        more(stream, &mut bytes).await?;
    }
    Some((head, bytes.split_off(end)))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(bytes).await.ok()?;
    (read > 0).then_some(())
}

/// The value of a header.
fn value(head: &str, name: &str) -> Option<String> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}
