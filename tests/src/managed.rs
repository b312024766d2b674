//! A front before a Valkey which presents it as a managed cache would, and refuses what that refuses.
//!
//! ElastiCache Serverless is a proxy before nodes that clients never see. What is known of it is here: one virtual node for
//! all slots, no TIME and INFO in scripts or transactions, an INFO that names no server, scripts that are forgotten, no
//! administration. A deployment must be served by that, so the store's tests run behind it.

mod line;
mod rules;
mod wire;

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::{Access, Profile};

/// What a front presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node of a cluster, as it is; only the way to it is the front's.
    Nodes,
    /// ElastiCache Serverless.
    Serverless,
}

impl Kind {
    /// The profile of a store that is behind it.
    pub(crate) fn profile(self) -> Profile {
        match self {
            Self::Nodes => Profile::Nodes,
            Self::Serverless => Profile::Serverless,
        }
    }
}

/// How a front behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What it presents.
    pub kind: Kind,
    /// What its user may do.
    pub access: Access,
    /// The scripts of all connections are forgotten before each such call of one.
    pub forgets_before_every: Option<u32>,
    /// One call of a script in so many is answered NOSCRIPT, whatever was sent before.
    pub forgets_one_in: Option<u32>,
    /// One command in so many is throttled.
    pub throttles_one_in: Option<u32>,
    /// How long a connection may be idle until it is cut.
    pub idle: Option<Duration>,
}

impl Manners {
    /// As a cache of this kind that the template made behaves at its best.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            access: Access::of_the_template(),
            forgets_before_every: None,
            forgets_one_in: None,
            throttles_one_in: None,
            idle: None,
        }
    }
}

/// A front on a port of 127.0.0.1, gone when dropped.
#[derive(Debug)]
pub struct Managed {
    port: u16,
    shared: Arc<Shared>,
    listens: AbortHandle,
}

/// What its connections have in common.
#[derive(Debug)]
struct Shared {
    manners: Manners,
    target: AtomicU16,
    /// The port that it says it is at.
    announced: AtomicU16,
    /// How many calls of scripts there were.
    calls: AtomicU32,
    /// What was refused, each with what was said.
    refused: Mutex<BTreeSet<String>>,
    over: watch::Sender<bool>,
}

impl Shared {
    /// How often all scripts were forgotten until now; one more call comes.
    fn forgotten(&self) -> u32 {
        let calls = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.manners.forgets_before_every.map_or(0, |every| calls / every)
    }

    fn note(&self, what: &str, said: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(format!("{what}: {said}"));
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        self.listens.abort();
        self.shared.over.send_replace(true);
    }
}

impl Managed {
    /// Listens before a Valkey at a port of 127.0.0.1 that knows the users of `manners.access`.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn before(target: u16, manners: Manners) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        // Which calls those are that it forgets before differs from front to front, so that each kind of call is met.
        let before = manners.forgets_before_every.map_or(0, |every| fastrand::u32(0..every));
        let shared = Arc::new(Shared {
            manners,
            target: AtomicU16::new(target),
            announced: AtomicU16::new(port),
            calls: AtomicU32::new(before),
            refused: Mutex::default(),
            over: watch::Sender::new(false),
        });
        let listens = tokio::spawn(listen(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { port, shared, listens })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says that it is at another port, where something stands before it.
    pub fn announce(&self, port: u16) {
        self.shared.announced.store(port, Ordering::SeqCst);
    }

    /// Leads connections that are made from now on to another server.
    pub fn lead_to(&self, target: u16) {
        self.shared.target.store(target, Ordering::SeqCst);
    }

    /// What was refused so far, by it or by the server, each with what was said.
    pub fn refused(&self) -> Vec<String> {
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().cloned().collect()
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(line::serve(client, Arc::clone(&shared)));
    }
}
