//! A TCP proxy before a server, which can do to a connection what networks and dying servers do.
//!
//! It never breaks what TCP promises: of a direction that lost bytes, no later byte arrives either.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// What a proxy does with all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMode {
    /// Passes on what comes.
    Pass,
    /// Passes nothing, either way. What comes meanwhile it passes on later, even if its sender is gone by then.
    Hang,
    /// Passes requests and loses the replies, and with them the connection.
    Mute,
    /// Closes every connection at once.
    Refuse,
}

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkFault {
    /// It never arrives.
    LoseRequest,
    /// It arrives; its reply does not.
    LoseReply,
    /// It arrives when [`Failpoint::release`] says so.
    Delay,
}

/// How a connection looks from outside once something of it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Nothing comes any more.
    Silence,
    /// It is closed.
    Close,
}

/// Does something to one of the requests that pass a set of proxies, and says when it did.
#[derive(Debug)]
pub struct Failpoint {
    link_fault: LinkFault,
    loss: Loss,
    /// How many requests still pass before; none: it is not set, or has sprung.
    left: Mutex<Option<u32>>,
    passed: AtomicU32,
    sprung: Notify,
    released: watch::Sender<bool>,
    answered: Notify,
}

impl Failpoint {
    /// A failpoint that is not set yet.
    pub fn new(link_fault: LinkFault, loss: Loss) -> Arc<Self> {
        Arc::new(Self {
            link_fault,
            loss,
            left: Mutex::new(None),
            passed: AtomicU32::new(0),
            sprung: Notify::new(),
            released: watch::Sender::new(false),
            answered: Notify::new(),
        })
    }

    /// Lets so many requests pass and takes the one after them.
    pub fn set(&self, pass: u32) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
        self.passed.store(0, Ordering::SeqCst);
    }

    /// How many requests have come since it was set.
    pub fn requests(&self) -> u32 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Waits until it has taken a request: for a reply to be lost, until the reply is there.
    pub async fn sprung(&self) {
        self.sprung.notified().await;
    }

    /// Lets the request go that was held up, and waits until the server is done with it.
    pub async fn release(&self) {
        self.released.send_replace(true);
        self.answered.notified().await;
    }

    /// Whether a request is part of an operation: not one of those that set a connection up, or that sqlx sends when it
    /// takes a connection back into its pool.
    fn concerns(request: &[u8]) -> bool {
        const SETS_UP: [&[u8]; 5] = [
            b"*2\r\n$4\r\nAUTH",
            b"*3\r\n$4\r\nAUTH",
            b"*4\r\n$6\r\nCLIENT",
            b"*3\r\n$6\r\nSCRIPT",
            b"*2\r\n$7\r\nCLUSTER",
        ];
        match request.first() {
            // Redis: an array. Postgres: Bind.
            Some(b'*') => !SETS_UP.iter().any(|command| request.starts_with(command)),
            Some(b'B') => true,
            _ => false,
        }
    }

    /// Whether this request is the one.
    fn takes(&self) -> bool {
        self.passed.fetch_add(1, Ordering::SeqCst);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match *left {
            Some(0) => {
                *left = None;
                true
            }
            Some(more) => {
                *left = Some(more - 1);
                false
            }
            None => false,
        }
    }
}

/// A proxy on a port of 127.0.0.1, gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listens: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    target: AtomicU16,
    /// How many connections were made.
    accepted: AtomicU32,
    link_mode: watch::Sender<LinkMode>,
    /// Counts the resets: a connection that was made before the last one is closed.
    resets: watch::Sender<u32>,
    failpoint: Option<Arc<Failpoint>>,
}

/// What the two directions of one connection know of each other.
#[derive(Debug)]
struct Line {
    shared: Arc<Shared>,
    /// A request came since the last reply.
    asking: AtomicBool,
    /// The reply that comes next, and all later ones, are lost.
    muted: AtomicBool,
    /// The request that was held up is with the server.
    late: AtomicBool,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listens.abort();
        self.reset();
    }
}

impl Proxy {
    /// Listens before a port of 127.0.0.1.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn before(target: u16) -> io::Result<Self> {
        Self::with_failpoint(target, None).await
    }

    /// The same, with a failpoint among its requests.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn with_failpoint(target: u16, failpoint: Option<Arc<Failpoint>>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target: AtomicU16::new(target),
            accepted: AtomicU32::new(0),
            link_mode: watch::Sender::new(LinkMode::Pass),
            resets: watch::Sender::new(0),
            failpoint,
        });
        let listens = tokio::spawn(listen(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { port, shared, listens })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were made to it.
    pub fn accepted(&self) -> u32 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Leads connections that are made from now on to another port.
    pub fn lead_to(&self, target: u16) {
        self.shared.target.store(target, Ordering::SeqCst);
    }

    /// Changes what it does.
    pub fn link_mode(&self, link_mode: LinkMode) {
        self.shared.link_mode.send_replace(link_mode);
        if link_mode == LinkMode::Refuse {
            self.reset();
        }
    }

    /// Closes all connections. What was held up is lost.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|resets| *resets += 1);
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if *shared.link_mode.borrow() != LinkMode::Refuse {
            tokio::spawn(serve(client, Arc::clone(&shared)));
        }
    }
}

/// One connection, until it is closed on either side or reset.
async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut resets = shared.resets.subscribe();
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.target.load(Ordering::SeqCst))).await
    else {
        return;
    };
    // Without it, small packets would wait for one another's acknowledgement.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let line = Line {
        shared,
        asking: AtomicBool::new(false),
        muted: AtomicBool::new(false),
        late: AtomicBool::new(false),
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // An end is passed on in its own direction; the connection is over when both have ended, or on an error.
        _ = async { tokio::try_join!(line.requests(from_client, to_server), line.replies(from_server, to_client)) } => {}
        _ = resets.changed() => {}
    }
}

/// A direction is over because of an error, and so is the other.
type Over = io::Result<()>;

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl Line {
    /// Waits for as long as nothing passes.
    async fn passes(&self) -> LinkMode {
        let mut link_mode = self.shared.link_mode.subscribe();
        let now = link_mode.wait_for(|link_mode| *link_mode != LinkMode::Hang).await;
        now.map_or(LinkMode::Pass, |link_mode| *link_mode)
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Over {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut bytes).await?;
            if read == 0 {
                self.passes().await;
                return to.shutdown().await;
            }
            let begins = !self.asking.swap(true, Ordering::SeqCst) && Failpoint::concerns(&bytes[..read]);
            if let Some(failpoint) =
                self.shared.failpoint.as_ref().filter(|failpoint| begins && failpoint.takes())
            {
                self.spring(failpoint).await?;
            }
            self.passes().await;
            to.write_all(&bytes[..read]).await?;
        }
    }

    /// Does to a request what the failpoint was set for. An error loses it, and closes the connection.
    async fn spring(&self, failpoint: &Failpoint) -> Over {
        match failpoint.link_fault {
            LinkFault::LoseRequest => {
                failpoint.sprung.notify_one();
                self.lose(failpoint.loss).await
            }
            LinkFault::LoseReply => {
                self.muted.store(true, Ordering::SeqCst);
                Ok(())
            }
            LinkFault::Delay => {
                failpoint.sprung.notify_one();
                // What is behind it waits as well. If the failpoint is gone, nobody will ever release it.
                failpoint.released.subscribe().wait_for(|released| *released).await.map_err(|_| cut())?;
                self.late.store(true, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    async fn lose(&self, loss: Loss) -> Over {
        if loss == Loss::Silence {
            // For as long as nobody resets it.
            std::future::pending::<()>().await;
        }
        Err(cut())
    }

    async fn replies(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Over {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut bytes).await?;
            self.asking.store(false, Ordering::SeqCst);
            if let Some(failpoint) =
                self.shared.failpoint.as_ref().filter(|_| self.late.swap(false, Ordering::SeqCst))
            {
                failpoint.answered.notify_one();
            }
            if read == 0 {
                self.passes().await;
                return to.shutdown().await;
            }
            if self.muted.load(Ordering::SeqCst) {
                let loss = self.shared.failpoint.as_ref().map_or(Loss::Close, |failpoint| {
                    failpoint.sprung.notify_one();
                    failpoint.loss
                });
                self.lose(loss).await?;
            }
            if self.passes().await == LinkMode::Mute {
                self.shared
                    .link_mode
                    .subscribe()
                    .wait_for(|now| *now != LinkMode::Mute)
                    .await
                    .map_err(|_| cut())?;
                return Err(cut());
            }
            to.write_all(&bytes[..read]).await?;
        }
    }
}
