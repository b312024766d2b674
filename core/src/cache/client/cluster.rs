//! A cluster: which server has a key, and what to do while slots move and servers change.
//!
//! The client library's own cluster connection is not used. It sends again what failed for whatever reason, also what
//! may have been done, or else follows no redirection at all; and it does not see one within a transaction. Here a
//! request is sent again only after an answer that says that it was not done.

use crate::types::error::CacheError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::FromRedisValue;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::access::ConnectOptions;
use super::fault::Fault;
use super::node::Node;
use super::request::Request;
use super::slots::{Address, Slots};

/// How often a request is sent at most, while it is not done.
const SENDS: u32 = 8;
/// How long to wait while a slot's keys are on their way: most are for milliseconds.
const ON_THE_WAY: Duration = Duration::from_millis(20);
/// How long what was learned about slots is not asked for again.
const REFRESH: Duration = Duration::from_millis(50);

/// The servers of a cluster, found through any of them.
pub(in crate::cache) struct Cluster {
    /// The one that is configured.
    seed: ConnectOptions,
    map: Mutex<Map>,
}

/// What is known of it.
#[derive(Default)]
struct Map {
    slots: Slots,
    nodes: HashMap<Address, Arc<Node>>,
    refreshed: Option<Instant>,
    /// Something has shown it to be wrong.
    stale: bool,
}

impl Cluster {
    pub(in crate::cache) fn new(seed: ConnectOptions) -> Self {
        Self { seed, map: Mutex::default() }
    }

    /// Asks the server that has the slot, wherever it is by now.
    pub(in crate::cache) async fn ask<T: FromRedisValue>(
        &self,
        request: &Request,
        slot: u16,
    ) -> Result<T, CacheError> {
        let (mut at, mut node) = self.owner(slot).await?;
        let (mut asking, mut sends) = (false, 0);
        loop {
            let fault = match node.ask(request, asking).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            sends += 1;
            // An answer from a server that has the slot by its own account says nothing against the map.
            let moved = !matches!(fault, Fault::Ask(_) | Fault::TryAgain(_));
            if moved && !matches!(fault, Fault::Failed(CacheError::Refused(_))) {
                self.map.lock().await.stale = true;
            }
            if sends == SENDS {
                return Err(fault.into());
            }
            match fault {
                Fault::Moved(to) | Fault::Ask(to) => {
                    asking = !moved;
                    at = Address { host: if to.host.is_empty() { at.host } else { to.host }, port: to.port };
                    node = self.node(&mut *self.map.lock().await, &at)?;
                }
                Fault::TryAgain(_) | Fault::ReadOnly(_) => {
                    sleep(ON_THE_WAY).await;
                    asking = false;
                    (at, node) = self.owner(slot).await?;
                }
                Fault::NoScript | Fault::Late(_) | Fault::Failed(_) => return Err(fault.into()),
            }
        }
    }

    /// Lets the server that has the slot be asked again.
    pub(in crate::cache) async fn reset(&self, slot: u16) {
        let map = self.map.lock().await;
        if let Some(node) = map.slots.owner(slot).and_then(|address| map.nodes.get(address)) {
            node.reset();
        }
    }

    /// The primaries, with their addresses.
    pub(in crate::cache) async fn primaries(&self) -> Result<Vec<(Address, Arc<Node>)>, CacheError> {
        let mut map = self.map.lock().await;
        self.refresh(&mut map).await?;
        let mut addresses: Vec<_> = map.slots.primaries().cloned().collect();
        addresses.sort_unstable_by_key(ToString::to_string);
        addresses.dedup();
        let node = |address: Address| self.node(&mut map, &address).map(|node| (address, node));
        addresses.into_iter().map(node).collect()
    }

    /// The server that has a slot, by a map that is made new if it is known to be wrong or leads to a server that does
    /// not answer: another may have taken over from it.
    async fn owner(&self, slot: u16) -> Result<(Address, Arc<Node>), CacheError> {
        let mut map = self.map.lock().await;
        let known = map.slots.owner(slot).and_then(|address| map.nodes.get(address));
        if map.stale || known.is_none_or(|node| node.is_open()) {
            self.refresh(&mut map).await?;
        }
        let address = map.slots.owner(slot).cloned();
        let address = address.ok_or_else(|| CacheError::Unreachable(format!("nobody has slot {slot}")))?;
        let node = self.node(&mut map, &address)?;
        Ok((address, node))
    }

    /// Asks one server after the other which of them has which slots. If none answers, what is known has to do.
    async fn refresh(&self, map: &mut Map) -> Result<(), CacheError> {
        if map.refreshed.is_some_and(|at| at.elapsed() < REFRESH) && map.slots != Slots::default() {
            return Ok(());
        }
        map.refreshed = Some(Instant::now());
        let mut failure = None;
        for (address, node) in self.candidates(map)? {
            match node.ask::<Slots>(&Request::Command(redis::cmd("CLUSTER").arg("SLOTS").take()), false).await
            {
                Ok(slots) => {
                    map.slots = slots.named_by(&address.host);
                    map.nodes.retain(|address, _| map.slots.primaries().any(|primary| primary == address));
                    map.stale = false;
                    return Ok(());
                }
                Err(fault) => failure = Some(CacheError::from(fault)),
            }
        }
        match failure {
            Some(error) if map.slots == Slots::default() => Err(error),
            _ => Ok(()),
        }
    }

    /// Who may be asked about slots: those known to be well, then the one that is configured.
    fn candidates(&self, map: &mut Map) -> Result<Vec<(Address, Arc<Node>)>, CacheError> {
        let well = map.nodes.iter().filter(|(_, node)| !node.is_open());
        let mut candidates: Vec<_> =
            well.map(|(address, node)| (address.clone(), Arc::clone(node))).collect();
        let seed = self.seed.address()?;
        if candidates.iter().all(|(address, _)| *address != seed) {
            let node = self.node(map, &seed)?;
            candidates.push((seed, node));
        }
        Ok(candidates)
    }

    /// The server at an address, reached as the configured one is: with its user and password, and with TLS if it is.
    fn node(&self, map: &mut Map, address: &Address) -> Result<Arc<Node>, CacheError> {
        if let Some(node) = map.nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        let access = self.seed.to(address.clone()).map_err(CacheError::from)?;
        let node = Arc::new(Node::new(access));
        map.nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }
}
