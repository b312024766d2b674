//! What a server's error means, in one table: where else to ask, what was certainly not done, and what is returned to the
//! caller.

use crate::types::error::CacheError;
use redis::{ErrorKind, RedisError};

use super::slots::Address;

/// An error, by what is to be done about it. All but [`Fault::Late`] and [`Fault::Failed`] say that nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cache) enum Fault {
    /// `MOVED`: another server has the slot.
    Moved(Address),
    /// `ASK`: the slot is on its way to another server, and the keys are there, or are to be made there.
    Ask(Address),
    /// `TRYAGAIN`: the slot is on its way, one of the keys here and the other there.
    TryAgain(String),
    /// `NOSCRIPT`: the server has forgotten the script, or never knew it.
    NoScript,
    /// `READONLY`: the connection leads to a server that is no primary, or not any more.
    ReadOnly(String),
    /// There was no answer in time.
    Late(String),
    /// Anything else.
    Failed(CacheError),
}

impl Fault {
    /// The table.
    pub(in crate::cache) fn of(error: &RedisError) -> Self {
        let said = error.to_string();
        match (error.code(), error.kind()) {
            (Some("MOVED"), _) => Self::elsewhere(error, Self::Moved),
            (Some("ASK"), _) => Self::elsewhere(error, Self::Ask),
            (Some("TRYAGAIN"), _) => Self::TryAgain(said),
            (Some("NOSCRIPT"), _) => Self::NoScript,
            (Some("READONLY"), _) => Self::ReadOnly(said),
            // It is there, and cannot do anything for anybody.
            (Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY"), _) => {
                CacheError::Unreachable(said).into()
            }
            _ if is_refusal(error) => {
                let wrong = format!("REDIS_URL has the wrong user or password: {said}");
                CacheError::Refused(wrong).into()
            }
            // What came is somebody's message, perhaps: it must not get into a log.
            (_, ErrorKind::Parse | ErrorKind::UnexpectedReturnType) => {
                CacheError::Refused("the answer has another form than it should".into()).into()
            }
            (_, ErrorKind::Io) if error.is_timeout() => Self::Late(said),
            (_, ErrorKind::Io) if error.is_connection_refusal() => CacheError::Unreachable(said).into(),
            (_, ErrorKind::Io) if error.is_connection_dropped() => CacheError::Closed(said).into(),
            (_, ErrorKind::Io) => CacheError::Unreachable(said).into(),
            // OOM, NOPERM, NOREPLICAS, MISCONF, and whatever else a server has to say.
            _ => CacheError::Refused(said).into(),
        }
    }

    fn elsewhere(error: &RedisError, fault: impl FnOnce(Address) -> Self) -> Self {
        let address = error.redirect_node().and_then(|(address, _)| Address::parse(address));
        address.map_or_else(|| CacheError::Refused(error.to_string()).into(), fault)
    }
}

/// Whether the server does not know the user, or that password of it.
pub(in crate::cache) fn is_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) || error.kind() == ErrorKind::AuthenticationFailed
}

impl From<CacheError> for Fault {
    fn from(error: CacheError) -> Self {
        Self::Failed(error)
    }
}

/// What is left of a fault when nothing more can be done about it.
impl From<Fault> for CacheError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Failed(error) => error,
            Fault::Moved(address) | Fault::Ask(address) => Self::Refused(format!(
                "the server sends on to {address}, and on: is it a cluster whose slots move, or is REDIS_CLUSTER not true?"
            )),
            Fault::Late(said) => Self::Unreachable(said),
            Fault::TryAgain(said) | Fault::ReadOnly(said) => Self::Refused(said),
            Fault::NoScript => {
                Self::Refused("the server does not know a script that came with its text".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use redis::{Value, parse_redis_value};

    use super::*;

    fn answered(line: &str) -> Fault {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::of(&value.extract_error().unwrap_err())
    }

    fn failed(fault: Fault) -> CacheError {
        match fault {
            Fault::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_certainly_not_done_is_told_apart() {
        let there = Address::parse("10.0.0.1:6379").unwrap();
        assert_eq!(answered("MOVED 7 10.0.0.1:6379"), Fault::Moved(there.clone()));
        assert_eq!(answered("ASK 7 10.0.0.1:6379"), Fault::Ask(there));
        assert!(matches!(answered("TRYAGAIN Multiple keys"), Fault::TryAgain(_)));
        assert_eq!(answered("NOSCRIPT No matching script."), Fault::NoScript);
        assert!(matches!(answered("READONLY this server is a replica"), Fault::ReadOnly(_)));
        assert!(matches!(failed(answered("MOVED nonsense")), CacheError::Refused(_)));
    }

    #[test]
    fn a_server_that_serves_nobody_is_as_good_as_away() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN The cluster is down",
            "BUSY Redis is busy running a script",
        ] {
            assert!(matches!(failed(answered(line)), CacheError::Unreachable(_)), "{line}");
        }
    }

    #[test]
    fn what_a_server_refuses_it_says() {
        for line in
            ["OOM command not allowed", "NOPERM no permissions", "ERR anything", "WRONGTYPE Operation"]
        {
            let said = failed(answered(line));
            let (_, why) = line.split_once(' ').unwrap();
            assert!(matches!(&said, CacheError::Refused(said) if said.contains(why)), "{said}");
        }
        for line in ["NOAUTH Authentication required.", "WRONGPASS invalid username-password pair"] {
            let said = failed(answered(line)).to_string();
            assert!(said.starts_with("REDIS_URL has the wrong user or password"), "{said}");
        }
    }

    #[test]
    fn a_lost_connection_is_no_outage_yet() {
        let fault = |kind: io::ErrorKind| Fault::of(&io::Error::from(kind).into());
        let of = |kind: io::ErrorKind| failed(fault(kind));
        assert!(matches!(of(io::ErrorKind::BrokenPipe), CacheError::Closed(_)));
        assert!(matches!(of(io::ErrorKind::ConnectionReset), CacheError::Closed(_)));
        assert!(matches!(fault(io::ErrorKind::TimedOut), Fault::Late(_)));
        assert!(matches!(of(io::ErrorKind::ConnectionRefused), CacheError::Unreachable(_)));
        assert!(matches!(of(io::ErrorKind::HostUnreachable), CacheError::Unreachable(_)));
    }

    #[test]
    fn what_was_cached_stays_out_of_errors() {
        let secret = Value::BulkString(b"a secret".to_vec());
        let error = redis::from_redis_value::<i64>(secret).unwrap_err();
        assert!(!failed(Fault::of(&error.into())).to_string().contains("secret"));
    }
}
