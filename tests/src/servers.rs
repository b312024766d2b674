//! Servers beside the one that the local stack runs, and what it takes to speak TLS with them.

use conversation_local::{Certificates, Tools};

use crate::programs::installed;
use crate::{fail, tools};

/// A server that the store is to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The one that the local stack runs.
    Valkey,
    /// The one that is installed: Redis, from a package.
    Redis,
}

impl Server {
    /// The tools, with this server in Valkey's place; none if it is not installed, and the test is to be skipped.
    pub fn tools(self) -> Option<Tools> {
        match self {
            Self::Valkey => Some(tools().clone()),
            Self::Redis => {
                let program = installed("redis-server")?;
                Some(Tools { valkey: program, ..tools().clone() })
            }
        }
    }
}

/// Certificates for a server of this machine; none if there is no `openssl`, and the test is to be skipped.
pub fn certificates() -> Option<Certificates> {
    installed("openssl")?;
    Some(Certificates::make().unwrap_or_else(|trouble| fail(&trouble)))
}
