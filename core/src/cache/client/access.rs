//! How a connection to a server is opened: where it is, how long that may take, and what one logs in with.

use crate::types::error::CacheError;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr};

use super::fault::{Fault, is_refusal};
use super::slots::Address;
use crate::iam::{NoToken, Token, Tokens};

/// The way to a server, not yet gone.
#[derive(Clone)]
pub(crate) struct ConnectOptions {
    client: Client,
    config: AsyncConnectionConfig,
    tokens: Option<Arc<Tokens>>,
}

impl ConnectOptions {
    /// With the password of the client's URL, or with tokens in its place.
    pub(crate) fn new(client: Client, config: AsyncConnectionConfig, tokens: Option<Tokens>) -> Self {
        Self { client, config, tokens: tokens.map(Arc::new) }
    }

    /// Where it leads.
    pub(in crate::cache) fn address(&self) -> Result<Address, CacheError> {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Ok(Address { host: host.clone(), port: *port })
            }
            _ => Err(CacheError::Refused("a cluster is reached by host and port, not by a socket".into())),
        }
    }

    /// The same way to another server: as the same user, and with TLS if this one has it.
    pub(in crate::cache) fn to(&self, Address { host, port }: Address) -> Result<Self, Fault> {
        let info = self.client.get_connection_info().clone();
        let address = match info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        let client = Client::open(info.set_addr(address)).map_err(|error| Fault::of(&error))?;
        Ok(Self { client, ..self.clone() })
    }

    /// Opens a connection. Where a token is refused another one is tried, once.
    pub(in crate::cache) async fn open(&self) -> Result<MultiplexedConnection, Fault> {
        let Some(tokens) = &self.tokens else {
            return self.open_as(&self.client).await.map_err(|e| Fault::of(&e));
        };
        let token = tokens.current().await?;
        match self.open_as(&self.with(&token)?).await {
            Err(error) if is_refusal(&error) => {
                tracing::warn!("the IAM token was refused, another one is tried");
                let another = self.with(&tokens.instead_of(&token).await?)?;
                self.open_as(&another).await.map_err(|error| Fault::of(&error))
            }
            opened => opened.map_err(|error| Fault::of(&error)),
        }
    }

    async fn open_as(&self, client: &Client) -> redis::RedisResult<MultiplexedConnection> {
        client.get_multiplexed_async_connection_with_config(&self.config).await
    }

    fn with(&self, token: &Token) -> Result<Client, Fault> {
        let info = self.client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_password(token.secret());
        Client::open(info.set_redis_settings(settings)).map_err(|error| Fault::of(&error))
    }
}

/// Nobody is reached without a token.
impl From<NoToken> for Fault {
    fn from(error: NoToken) -> Self {
        CacheError::Unreachable(error.to_string()).into()
    }
}
