//! The way to Redis, be it one server or a cluster.

use std::sync::Arc;

use redis::FromRedisValue;

use crate::meter::{note_refusal, timed_redis};

use super::access::ConnectOptions;
use super::cluster::Cluster;
use super::node::Node;
use super::request::Request;
use super::slots::slot_of;
use crate::types::error::CacheError;

/// Reaches whoever has a key. Nothing is opened before it is needed.
pub(crate) struct Connection(Kind);

enum Kind {
    /// A server, with or without replicas.
    Single(Arc<Node>),
    /// Redis Cluster.
    Cluster(Box<Cluster>),
}

impl Connection {
    /// Prepares the way; `cluster` says whether it leads to a server of a cluster.
    pub(crate) fn new(access: ConnectOptions, cluster: bool) -> Self {
        if cluster {
            Self(Kind::Cluster(Box::new(Cluster::new(access))))
        } else {
            Self(Kind::Single(Arc::new(Node::new(access))))
        }
    }

    /// Asks whoever has the key.
    pub(in crate::cache) async fn ask<T: FromRedisValue>(
        &self,
        request: &Request,
        key: &str,
    ) -> Result<T, CacheError> {
        let answer = async {
            match &self.0 {
                Kind::Single(node) => Ok(node.ask(request, false).await?),
                Kind::Cluster(cluster) => Box::pin(cluster.ask(request, slot_of(key))).await,
            }
        };
        let answer = timed_redis(answer).await;
        if let Err(CacheError::Refused(_)) = &answer {
            note_refusal();
        }
        answer
    }

    /// The same, once more where the connection turns out to be closed: for what does no harm done twice, or late.
    pub(in crate::cache) async fn ask_again<T: FromRedisValue>(
        &self,
        request: &Request,
        key: &str,
    ) -> Result<T, CacheError> {
        match self.ask(request, key).await {
            Err(CacheError::Closed(_)) => self.ask(request, key).await,
            answer => answer,
        }
    }

    /// Lets whoever has the key be asked again, if it was left alone because it did not answer.
    pub(in crate::cache) async fn reset(&self, key: &str) {
        match &self.0 {
            Kind::Single(node) => node.reset(),
            Kind::Cluster(cluster) => cluster.reset(slot_of(key)).await,
        }
    }

    /// Every server that has keys, under a name that it keeps.
    pub(in crate::cache) async fn primaries(&self) -> Result<Vec<(String, Arc<Node>)>, CacheError> {
        match &self.0 {
            Kind::Single(node) => Ok(vec![("server".into(), Arc::clone(node))]),
            Kind::Cluster(cluster) => {
                let primaries = cluster.primaries().await?;
                Ok(primaries.into_iter().map(|(address, node)| (address.to_string(), node)).collect())
            }
        }
    }
}
