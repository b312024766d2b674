//! Tokens of AWS IAM in the place of passwords. One is minted when a connection is opened, and used again for a while;
//! nothing renews it in the background, since a frozen function does not run.

mod credentials;
mod presign;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub(crate) use presign::Audience;

/// From this age on a connection is not opened with it: what is left is for clocks that differ and for slow networks.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// If no other can be had, it is used up to this age.
const USABLE: Duration = Duration::from_secs(14 * 60);
/// How long credentials may take to come. On Lambda they are in the environment.
const PATIENCE: Duration = Duration::from_secs(1);

/// No token: there are no credentials, or they cannot be signed with. Says why, and nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no IAM token: {0}")]
pub(crate) struct NoToken(String);

/// Who takes tokens, and where that is: all that is needed to mint them, but for the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Iam {
    pub(crate) audience: Audience,
    pub(crate) region: String,
}

/// A token. It is a password: nothing but [`Token::secret`] shows it.
#[derive(Clone)]
pub(crate) struct Token {
    secret: Arc<str>,
    /// How many there were before it.
    nth: u64,
    minted: SystemTime,
    /// When the credentials end that it was signed with, and it with them.
    ends: Option<SystemTime>,
}

/// The tokens of one server, one after the other.
pub(crate) struct Tokens {
    iam: Iam,
    credentials: SharedCredentialsProvider,
    clock: fn() -> SystemTime,
    current: Mutex<Option<Token>>,
}

impl Token {
    /// The password.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    fn is_younger_than(&self, age: Duration, now: SystemTime) -> bool {
        // A clock that was set back says nothing about the token's age, so that it counts as old.
        let young = now.duration_since(self.minted).is_ok_and(|since| since < age);
        young && self.ends.is_none_or(|ends| now < ends)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("nth", &self.nth).field("minted", &self.minted).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("iam", &self.iam).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens signed with the credentials of this function or container.
    pub(crate) fn new(iam: Iam) -> Self {
        Self::with(iam, credentials::provider(), SystemTime::now)
    }

    fn with(iam: Iam, credentials: SharedCredentialsProvider, clock: fn() -> SystemTime) -> Self {
        Self { iam, credentials, clock, current: Mutex::default() }
    }

    /// A token to open a connection with.
    ///
    /// # Errors
    /// There are no credentials.
    pub(crate) async fn current(&self) -> Result<Token, NoToken> {
        let mut current = self.current.lock().await;
        let now = (self.clock)();
        if let Some(token) = current.as_ref().filter(|token| token.is_younger_than(FRESH, now)) {
            return Ok(token.clone());
        }
        match self.mint(&mut current).await {
            Err(error) => {
                let usable = current.as_ref().filter(|token| token.is_younger_than(USABLE, now));
                let usable = usable.cloned().ok_or_else(|| error.clone())?;
                tracing::warn!(%error, "an older token is used");
                Ok(usable)
            }
            minted => minted,
        }
    }

    /// Another token than one that a server has refused, signed with credentials that are asked for anew. Of many
    /// connections that were refused with the same one, one mints.
    ///
    /// # Errors
    /// There are no credentials.
    pub(crate) async fn instead_of(&self, refused: &Token) -> Result<Token, NoToken> {
        let mut current = self.current.lock().await;
        match current.as_ref().filter(|token| token.nth > refused.nth) {
            Some(token) => Ok(token.clone()),
            None => self.mint(&mut current).await,
        }
    }

    async fn mint(&self, current: &mut Option<Token>) -> Result<Token, NoToken> {
        let credentials = timeout(PATIENCE, self.credentials.provide_credentials()).await;
        let credentials = credentials.map_err(|_| NoToken("no credentials within a second".into()))?;
        let credentials = credentials.map_err(|error| NoToken(chain(&error)))?;
        let minted = (self.clock)();
        let secret = self.iam.audience.token(&credentials, &self.iam.region, minted);
        let secret = secret.map_err(|error| NoToken(chain(error.as_ref())))?.into();
        let nth = current.as_ref().map_or(1, |token| token.nth + 1);
        Ok(current.insert(Token { secret, nth, minted, ends: credentials.expiry() }).clone())
    }
}

/// An error and what it comes from, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said.push_str(": ");
        said.push_str(&error.to_string());
        source = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    /// Credentials that are others each time, until there are no more.
    #[derive(Debug)]
    struct Changing {
        given: AtomicU64,
        most: u64,
        ends: Option<SystemTime>,
    }

    impl ProvideCredentials for Changing {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let given = self.given.fetch_add(1, Ordering::Relaxed) + 1;
            future::ProvideCredentials::ready(if given > self.most {
                Err(CredentialsError::not_loaded("there are no more"))
            } else {
                Ok(Credentials::new(format!("KEY{given}"), "a secret key", None, self.ends, "test"))
            })
        }
    }

    fn iam() -> Iam {
        let audience = Audience::Cache { name: "cache".into(), user: "app".into(), serverless: false };
        Iam { audience, region: "eu-central-1".into() }
    }

    /// Tokens whose clock is moved by the test. Each test has a clock of its own, which is why this is a macro.
    macro_rules! tokens {
        ($most:expr, $ends:expr) => {{
            static NOW: AtomicU64 = AtomicU64::new(1_800_000_000);
            fn clock() -> SystemTime {
                UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
            }
            let credentials = Changing { given: AtomicU64::new(0), most: $most, ends: $ends };
            (Tokens::with(iam(), SharedCredentialsProvider::new(credentials), clock), &NOW)
        }};
    }

    fn key(token: &Token) -> &str {
        token.secret().split("X-Amz-Credential=").nth(1).unwrap().split("%2F").next().unwrap()
    }

    #[tokio::test]
    async fn a_token_is_used_for_ten_minutes() {
        let (tokens, now) = tokens!(9, None);
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY1");
        now.fetch_add(599, Ordering::Relaxed);
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY1");
        now.fetch_add(1, Ordering::Relaxed);
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY2");
        now.fetch_sub(3_600, Ordering::Relaxed);
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY3", "the clock was set back");
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let (tokens, _) = tokens!(9, None);
        let refused = tokens.current().await.unwrap();
        assert_eq!(key(&tokens.instead_of(&refused).await.unwrap()), "KEY2");
        assert_eq!(key(&tokens.instead_of(&refused).await.unwrap()), "KEY2", "somebody else was refused too");
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY2");
    }

    #[tokio::test]
    async fn without_credentials_a_token_is_used_until_shortly_before_its_end() {
        let (tokens, now) = tokens!(1, None);
        let token = tokens.current().await.unwrap();
        now.fetch_add(14 * 60 - 1, Ordering::Relaxed);
        assert_eq!(tokens.current().await.unwrap().nth, token.nth);
        now.fetch_add(1, Ordering::Relaxed);
        let said = tokens.current().await.unwrap_err().to_string();
        assert_eq!(said, "no IAM token: the credential provider was not enabled: there are no more");
        assert!(tokens.instead_of(&token).await.is_err());
    }

    #[tokio::test]
    async fn a_token_ends_with_the_credentials_that_signed_it() {
        let (tokens, now) = tokens!(9, Some(UNIX_EPOCH + Duration::from_secs(1_800_000_060)));
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY1");
        now.fetch_add(60, Ordering::Relaxed);
        assert_eq!(key(&tokens.current().await.unwrap()), "KEY2");
    }

    #[tokio::test]
    async fn nothing_but_its_secret_shows_a_token() {
        let (tokens, _) = tokens!(1, None);
        let token = tokens.current().await.unwrap();
        let shown = format!("{token:?} {tokens:?}");
        assert!(
            !shown.contains("Signature") && !shown.contains("KEY1") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
