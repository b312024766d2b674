//! A front before a Valkey which presents it as a managed cache would, and refuses what that refuses.
//!
//! ElastiCache Serverless is a proxy before nodes that clients never see. What is known of it is here: one virtual node for
//! all slots, no TIME and INFO in scripts or transactions, an INFO that names no server, scripts that are forgotten, no
//! administration. A deployment must be served by that, so the store's tests run behind it.

mod line;
mod manners;
mod rules;
mod wire;

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use manners::Shared;
pub use manners::{Kind, Manners};

/// A front on a port of 127.0.0.1, gone when dropped.
#[derive(Debug)]
pub struct Managed {
    port: u16,
    shared: Arc<Shared>,
    listens: AbortHandle,
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
