//! The kinds of cache that a deployment may have, each of which the store has to be served by.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use conversation_core::ConversationStore;
use conversation_local::Valkey;
use redis::cmd;

use crate::{Broken, Kind, Manners, fail, store_with, tools};

/// A kind of cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// One server, whose user may do anything.
    Plain,
    /// A node of a cluster, entered as the user of the template.
    Nodes,
    /// The same behind a front like that of ElastiCache Serverless.
    Serverless,
    /// The same, with all scripts forgotten before every tenth call of one.
    Forgetful,
}

impl Profile {
    /// That of a store behind a front which presents this.
    pub(crate) fn behind(kind: Kind) -> Self {
        match kind {
            Kind::Nodes => Self::Nodes,
            Kind::Serverless => Self::Serverless,
        }
    }

    /// How a front before its server behaves; none: there is nothing that one would have to do.
    pub fn manners(self) -> Option<Manners> {
        Some(match self {
            Self::Plain => return None,
            Self::Nodes => Manners::of(Kind::Nodes),
            Self::Serverless => Manners::of(Kind::Serverless),
            Self::Forgetful => Manners { forgets_before_every: Some(10), ..Manners::of(Kind::Serverless) },
        })
    }

    /// Whether its servers do not say who they are, so that a failover goes unnoticed.
    pub fn hides_servers(self) -> bool {
        matches!(self, Self::Serverless | Self::Forgetful)
    }

    /// The settings of a store beside where its cache is.
    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain => &[],
            Self::Nodes => &[("REDIS_CLUSTER", "true")],
            Self::Serverless | Self::Forgetful => &[("REDIS_CLUSTER", "true"), ("REDIS_SERVERLESS", "true")],
        }
    }
}

impl Profile {
    /// A store with such a cache, at a URL.
    pub fn store_at(self, database_url: &str, redis_url: &str) -> ConversationStore {
        store_with(database_url, &[&[("REDIS_URL", redis_url)], self.settings()].concat())
    }
}

/// Makes a test of each function that takes a [`Profile`](crate::Profile), in each of them.
#[macro_export]
macro_rules! in_each_profile {
    (#[$attribute:meta] $($test:ident),* $(,)?) => {
        mod plain {
            $(#[$attribute] async fn $test() { super::$test($crate::Profile::Plain).await; })*
        }
        mod nodes {
            $(#[$attribute] async fn $test() { super::$test($crate::Profile::Nodes).await; })*
        }
        mod serverless {
            $(#[$attribute] async fn $test() { super::$test($crate::Profile::Serverless).await; })*
        }
        mod forgetful {
            $(#[$attribute] async fn $test() { super::$test($crate::Profile::Forgetful).await; })*
        }
    };
    ($($test:ident),* $(,)?) => { $crate::in_each_profile!(#[tokio::test] $($test),*); };
}

/// How many servers are made ahead at a time.
const AHEAD: usize = 3;

/// A server that is a whole cluster. For its first two seconds one takes no writes, so that some are made ahead.
pub(crate) fn cluster_of_one() -> Valkey {
    static READY: OnceLock<Mutex<Receiver<Valkey>>> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        let (made, ready) = sync_channel(AHEAD);
        for _ in 0..AHEAD {
            let made = made.clone();
            std::thread::spawn(move || make(&made));
        }
        Mutex::new(ready)
    });
    let next = ready.lock().unwrap_or_else(PoisonError::into_inner).recv();
    next.unwrap_or_else(|_| fail(&"no server of a cluster can be made"))
}

fn make(made: &SyncSender<Valkey>) {
    while let Ok(valkey) = whole_cluster() {
        if made.send(valkey).is_err() {
            return;
        }
    }
}

fn whole_cluster() -> Result<Valkey, Broken> {
    let password = uuid::Uuid::new_v4().simple().to_string();
    let valkey = Valkey::cluster_member(tools(), &password, &[])?;
    let mut redis = redis::Client::open(valkey.url())?.get_connection()?;
    cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec(&mut redis)?;
    for _ in 0..1_000 {
        let info: String = cmd("CLUSTER").arg("INFO").query(&mut redis)?;
        if info.contains("cluster_state:ok") {
            return Ok(valkey);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("it does not become a cluster".into())
}
