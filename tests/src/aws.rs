//! AWS as far as the store's logins go: the endpoint that a container has its credentials from, and servers that take
//! tokens of IAM, one before Redis, and one that Postgres asks about passwords.
//!
//! Of several keys that it gave out only the newest is good. What a token says is held against what it is for; its
//! signature is held against that of botocore.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use conversation_local::{Certificates, Wheels, workspace};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::{Broken, fail};

const REGION: &str = "eu-central-1";
const SECRET: &str = "a/secret+key";
const SESSION: &str = "a session/token==";

/// Everything of AWS that there is here. It goes when it is dropped.
#[derive(Debug)]
pub struct Aws {
    shared: Arc<Shared>,
    credentials: u16,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    key: AtomicU64,
    asked: AtomicU64,
    presented: Mutex<Vec<Presented>>,
    /// Counts how often the connections to Redis were closed.
    closed: watch::Sender<u64>,
}

/// A token that somebody came with.
#[derive(Clone, Debug)]
pub struct Presented {
    token: String,
    /// The key that it was signed with: the first is `KEY1`.
    pub key: String,
    /// Whether it was good.
    pub accepted: bool,
}

/// What a token is for: where it leads, and the name and value that its query has the user under.
#[derive(Clone, Debug)]
struct Purpose {
    address: String,
    user: (&'static str, &'static str),
}

impl Aws {
    /// Starts the endpoint for credentials.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            key: AtomicU64::new(1),
            asked: AtomicU64::new(0),
            presented: Mutex::default(),
            closed: watch::Sender::new(0),
        });
        let (mut tasks, asked) = (JoinSet::new(), Arc::clone(&shared));
        let credentials = serve(&mut tasks, move |stream| give_credentials(stream, Arc::clone(&asked))).await;
        Self { shared, credentials, tasks }
    }

    /// The settings of a function whose credentials come from here.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let endpoint = format!("http://127.0.0.1:{}/credentials", self.credentials);
        [
            ("AWS_REGION", REGION.into()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a container".into()),
        ]
    }

    /// Gives out another key from now on, and takes tokens of no other.
    pub fn change_key(&self) {
        self.shared.key.fetch_add(1, Ordering::SeqCst);
    }

    /// Who came with which token since this was last asked.
    pub fn presented(&self) -> Vec<Presented> {
        std::mem::take(&mut *self.shared.presented())
    }

    /// How often credentials were asked for.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Serves a Redis server through TLS to those who come as `app` with a token for a cache; its port.
    pub async fn before_redis(&mut self, certificates: &Certificates, cache: &str, server: &str) -> u16 {
        let acceptor = acceptor(certificates).unwrap_or_else(|error| fail(&error));
        let purpose = Purpose { address: cache.to_owned(), user: ("User", "app") };
        let (shared, server) = (Arc::clone(&self.shared), server.to_owned());
        serve(&mut self.tasks, move |stream| {
            let gate = Gate { shared: Arc::clone(&shared), purpose: purpose.clone(), server: server.clone() };
            let acceptor = acceptor.clone();
            async move { gate.pass(acceptor.accept(stream).await?).await }
        })
        .await
    }

    /// Closes all connections to Redis.
    pub fn close_redis(&self) {
        self.shared.closed.send_modify(|times| *times += 1);
    }

    /// Answers, as an LDAP server, whether a password is a token for the user `app` of the database at that address; its
    /// port. Postgres asks such a server if it is configured to.
    pub async fn behind_postgres(&mut self, address: impl Fn() -> String + Send + Sync + 'static) -> u16 {
        let (shared, address) = (Arc::clone(&self.shared), Arc::new(address));
        serve(&mut self.tasks, move |stream| {
            let purpose = Purpose { address: address(), user: ("DBUser", "app") };
            answer_ldap(stream, Arc::clone(&shared), purpose)
        })
        .await
    }

    /// Holds tokens against those that botocore makes of the same.
    pub fn are_of_botocore(presented: &[Presented]) {
        let requests: Vec<Value> = presented.iter().map(Presented::request).collect();
        let made = tokens_of_botocore(&json!(requests)).unwrap_or_else(|error| fail(&error));
        let theirs: Vec<_> = made.iter().map(|token| parts(token)).collect();
        let ours: Vec<_> = presented.iter().map(|presented| parts(&presented.token)).collect();
        assert_eq!(ours, theirs);
    }
}

impl Shared {
    fn presented(&self) -> std::sync::MutexGuard<'_, Vec<Presented>> {
        self.presented.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a token is good; it is noted either way.
    fn admits(&self, token: &str, purpose: &Purpose) -> bool {
        let (address, query) = parts(token);
        let has = |name: &str, value: &str| query.get(name).is_some_and(|given| given == value);
        let credential = query.get("X-Amz-Credential").cloned().unwrap_or_default();
        let key = credential.split('/').next().unwrap_or_default().to_owned();
        let accepted = address == format!("{}/", purpose.address)
            && has("Action", "connect")
            && has(purpose.user.0, purpose.user.1)
            && has("X-Amz-Expires", "900")
            && key == format!("KEY{}", self.key.load(Ordering::SeqCst));
        self.presented().push(Presented { token: token.to_owned(), key, accepted });
        accepted
    }
}

impl Presented {
    /// What the token was made of, for `tests/iam/tokens.py`.
    fn request(&self) -> Value {
        let (address, query) = parts(&self.token);
        let address = address.trim_end_matches('/');
        let mut request = json!({
            "region": REGION,
            "credentials": [self.key, SECRET, SESSION],
            "at": query.get("X-Amz-Date"),
        });
        let to = match address.split_once(':') {
            Some((host, port)) => json!({
                "host": host,
                "port": port.parse::<u16>().unwrap_or_else(|error| fail(&error)),
                "user": query.get("DBUser"),
            }),
            None => json!({
                "name": address,
                "user": query.get("User"),
                "serverless": query.contains_key("ResourceType"),
            }),
        };
        if let (Value::Object(request), Value::Object(to)) = (&mut request, to) {
            request.extend(to);
        }
        request
    }
}

/// Where a token leads, and its query, whose order says nothing.
fn parts(token: &str) -> (String, BTreeMap<String, String>) {
    let (address, query) = token.split_once('?').unwrap_or((token, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    (address.to_owned(), pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect())
}

/// The tokens that botocore makes, of a list as `tests/iam/tokens.py` takes it.
pub fn tokens_of_botocore(requests: &Value) -> Result<Vec<String>, Broken> {
    let mut python = Command::new(Wheels::TESTS.python()?);
    python.arg(workspace().join("tests/iam/tokens.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn()?;
    if let Some(mut stdin) = python.stdin.take() {
        stdin.write_all(requests.to_string().as_bytes())?;
    }
    Ok(serde_json::from_slice(&python.wait_with_output()?.stdout)?)
}

/// Does something with each connection to a port of its own, which it answers. One that breaks is one that ends.
async fn serve<F>(tasks: &mut JoinSet<()>, handle: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap_or_else(|error| fail(&error));
    let port = listener.local_addr().unwrap_or_else(|error| fail(&error)).port();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(handle(stream));
        }
    });
    port
}

async fn give_credentials(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    if !request.starts_with("get /credentials ") || !request.contains("authorization: a container\r\n") {
        return stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let key = format!("KEY{}", shared.key.load(Ordering::SeqCst));
    let body = json!({
        "AccessKeyId": key,
        "SecretAccessKey": SECRET,
        "Token": SESSION,
        "Expiration": "2100-01-01T00:00:00Z",
    });
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length:";
    stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await
}

/// Accepts TLS as the server of these certificates.
///
/// # Errors
/// They cannot be read.
pub fn acceptor(certificates: &Certificates) -> Result<TlsAcceptor, Broken> {
    let [certificate, key] = certificates.server();
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Before a Redis server.
struct Gate {
    shared: Arc<Shared>,
    purpose: Purpose,
    /// Its URL, whose password is that of the server itself.
    server: String,
}

impl Gate {
    /// Takes the client's AUTH, and sends its own in that place.
    async fn pass(self, mut client: impl AsyncRead + tokio::io::AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut closed = self.shared.closed.subscribe();
        let auth = read_command(&mut client).await?;
        let [command, user, token] = auth.as_slice() else {
            return Err(std::io::ErrorKind::InvalidData.into());
        };
        if command != "AUTH" || user != self.purpose.user.1 || !self.shared.admits(token, &self.purpose) {
            // The commands that come with it are refused too. Closed with something unread, the connection would be reset,
            // and what was answered lost.
            let refusal = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
            client
                .write_all(format!("{refusal}{0}{0}", "-NOAUTH Authentication required.\r\n").as_bytes())
                .await?;
            return tokio::io::copy(&mut client, &mut tokio::io::sink()).await.map(drop);
        }
        let (password, address) =
            self.server.trim_start_matches("redis://:").split_once('@').unwrap_or_default();
        let mut server = TcpStream::connect(address.trim_end_matches('/')).await?;
        server.write_all(format!("AUTH {password}\r\n").as_bytes()).await?;
        tokio::select! {
            copied = tokio::io::copy_bidirectional(&mut client, &mut server) => copied.map(drop),
            _ = closed.changed() => Ok(()),
        }
    }
}

/// A command of Redis's protocol: so many strings, each after its length.
async fn read_command(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<String>> {
    let mut parts = Vec::new();
    for _ in 0..read_length(stream).await? {
        let mut part = vec![0; read_length(stream).await? + 2];
        stream.read_exact(&mut part).await?;
        parts.push(String::from_utf8_lossy(&part).trim_end().to_owned());
    }
    Ok(parts)
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<usize> {
    let mut line = String::new();
    while !line.ends_with("\r\n") {
        line.push(stream.read_u8().await?.into());
    }
    line[1..].trim_end().parse().map_err(std::io::Error::other)
}

/// One bind after the other: a message of LDAP with a name and a password, and the answer whether they are right.
async fn answer_ldap(mut stream: TcpStream, shared: Arc<Shared>, purpose: Purpose) -> std::io::Result<()> {
    const BIND: u8 = 0x60;
    loop {
        let message = read_element(&mut stream).await?.1;
        let mut message = message.as_slice();
        let (_, id) = read_element(&mut message).await?;
        let (kind, bind) = read_element(&mut message).await?;
        if kind != BIND {
            return Ok(());
        }
        let mut bind = bind.as_slice();
        let (_, _version) = read_element(&mut bind).await?;
        let (_, name) = read_element(&mut bind).await?;
        let (_, password) = read_element(&mut bind).await?;
        let known = name == format!("cn={}", purpose.user.1).as_bytes();
        let right = known && shared.admits(&String::from_utf8_lossy(&password), &purpose);
        let code = if right { 0 } else { 49 };
        let length = u8::try_from(id.len()).map_err(std::io::Error::other)?;
        let mut answer = vec![0x30, 11 + length, 0x02, length];
        answer.extend(id);
        answer.extend([0x61, 7, 0x0a, 1, code, 0x04, 0, 0x04, 0]);
        stream.write_all(&answer).await?;
    }
}

/// An element of BER: its tag, and what is in it.
async fn read_element(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let (tag, short) = (stream.read_u8().await?, stream.read_u8().await?);
    let mut length = usize::from(short & 0x7f);
    if short & 0x80 != 0 {
        let bytes = length;
        length = 0;
        for _ in 0..bytes {
            length = length << 8 | usize::from(stream.read_u8().await?);
        }
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await?;
    Ok((tag, content))
}
