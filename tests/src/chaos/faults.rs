//! What goes wrong, one thing after another.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use redis::AsyncCommands as _;
use tokio::time::{Instant, sleep};

use crate::Broken;
use crate::proxy::LinkMode;

use super::clients::Crew;
use super::record::Record;
use super::servers::Servers;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The Redis server is stopped with SIGSTOP and continued.
    RedisPaused,
    /// It is killed with SIGKILL, and an empty one takes its place.
    RedisEmptied,
    /// It is killed, and a replica that lags takes over.
    ReplicaPromoted,
    /// It becomes the replica of one that lagged behind it, with clients still connected.
    PrimaryDemoted,
    /// It takes nothing that needs memory.
    RedisFull,
    /// Nothing passes between one client and Redis, for a while.
    RedisHangs,
    /// Redis executes what one client sends, and the replies are lost.
    RepliesLost,
    /// One client's connections to Redis are closed.
    RedisReset,
    /// The entry of a conversation is evicted.
    EntryEvicted,
    /// Its window is.
    WindowEvicted,
    /// Both are.
    BothEvicted,
    /// A certificate is past its check-by time.
    ValidityExpired,
    /// Nothing passes between one client and Postgres, for a while.
    PostgresHangs,
    /// Postgres executes what one client sends, and the replies are lost.
    CommitsUnanswered,
    /// Postgres ends all sessions.
    SessionsEnded,
    /// A client dies in the middle of what it does, and another takes its place.
    ClientKilled,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::RedisPaused,
        Self::RedisEmptied,
        Self::ReplicaPromoted,
        Self::PrimaryDemoted,
        Self::RedisFull,
        Self::RedisHangs,
        Self::RepliesLost,
        Self::RedisReset,
        Self::EntryEvicted,
        Self::WindowEvicted,
        Self::BothEvicted,
        Self::ValidityExpired,
        Self::PostgresHangs,
        Self::CommitsUnanswered,
        Self::SessionsEnded,
        Self::ClientKilled,
    ];

    /// How often it comes, against the others: what stops all clients at once comes less often.
    fn weight(self) -> usize {
        match self {
            Self::RedisPaused | Self::RedisEmptied | Self::RedisFull => 2,
            Self::ReplicaPromoted | Self::PrimaryDemoted | Self::SessionsEnded => 3,
            Self::RedisHangs | Self::RepliesLost | Self::RedisReset => 4,
            Self::PostgresHangs | Self::CommitsUnanswered => 4,
            Self::ClientKilled => 8,
            Self::EntryEvicted | Self::WindowEvicted | Self::BothEvicted | Self::ValidityExpired => 8,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RedisPaused => "Redis paused",
            Self::RedisEmptied => "Redis killed, restarted empty",
            Self::ReplicaPromoted => "Redis killed, lagging replica promoted",
            Self::PrimaryDemoted => "primary demoted, lagging replica promoted",
            Self::RedisFull => "Redis full",
            Self::RedisHangs => "connection to Redis hangs",
            Self::RepliesLost => "replies of Redis lost",
            Self::RedisReset => "connection to Redis reset",
            Self::EntryEvicted => "entry evicted",
            Self::WindowEvicted => "window evicted",
            Self::BothEvicted => "both keys evicted",
            Self::ValidityExpired => "validity expired",
            Self::PostgresHangs => "connection to Postgres hangs",
            Self::CommitsUnanswered => "replies of Postgres lost",
            Self::SessionsEnded => "sessions in Postgres ended",
            Self::ClientKilled => "client killed",
        })
    }
}

/// Lets things go wrong until `deadline`; how often each did. Every fault comes once before any comes twice, so that a
/// run of a minute has seen them all.
pub(super) async fn rage(
    servers: &mut Servers,
    crew: &mut Crew,
    rng: &mut Rng,
    deadline: Instant,
) -> Result<BTreeMap<Fault, u32>, Broken> {
    let mut counts = BTreeMap::new();
    let mut first: Vec<Fault> = Fault::ALL.into();
    rng.shuffle(&mut first);
    let weighted: Vec<Fault> =
        Fault::ALL.into_iter().flat_map(|fault| std::iter::repeat_n(fault, fault.weight())).collect();
    while Instant::now() < deadline {
        sleep(Duration::from_millis(rng.u64(20..300))).await;
        let fault = first.pop().or_else(|| rng.choice(&weighted).copied());
        let Some(fault) = fault else { continue };
        bring_about(fault, servers, crew, rng).await?;
        *counts.entry(fault).or_default() += 1;
    }
    Ok(counts)
}

async fn bring_about(
    fault: Fault,
    servers: &mut Servers,
    crew: &mut Crew,
    rng: &mut Rng,
) -> Result<(), Broken> {
    let client = rng.usize(0..crew.size());
    // The last one is the sweep's.
    let way = &servers.ways[rng.usize(0..servers.ways.len() - 1)];
    // Longer or shorter than Redis is waited for.
    let pause = Duration::from_millis(rng.u64(50..700));
    match fault {
        Fault::RedisPaused => servers.pause_primary(pause).await?,
        Fault::RedisEmptied => servers.lose_primary(pause / 2).await?,
        Fault::ReplicaPromoted | Fault::PrimaryDemoted => {
            let began = crew.now();
            servers.fail_over(pause / 2, fault == Fault::ReplicaPromoted).await?;
            crew.note(Record::FailedOver { began, ended: crew.now() });
        }
        Fault::RedisFull => servers.fill_primary(pause).await?,
        Fault::RedisReset => way.redis.reset(),
        Fault::SessionsEnded => servers.end_sessions().await?,
        Fault::ClientKilled => crew.replace(client, servers).await?,
        Fault::RedisHangs | Fault::RepliesLost => {
            let link_mode = if fault == Fault::RedisHangs { LinkMode::Hang } else { LinkMode::Mute };
            way.redis.link_mode(link_mode);
            // Long enough for this client to give it up, while the others go on to use it.
            sleep(pause + Duration::from_millis(350)).await;
            way.redis.link_mode(LinkMode::Pass);
        }
        Fault::PostgresHangs | Fault::CommitsUnanswered => {
            let link_mode = if fault == Fault::PostgresHangs { LinkMode::Hang } else { LinkMode::Mute };
            way.postgres.link_mode(link_mode);
            sleep(pause).await;
            way.postgres.link_mode(LinkMode::Pass);
        }
        Fault::EntryEvicted | Fault::WindowEvicted | Fault::BothEvicted | Fault::ValidityExpired => {
            tamper(fault, servers, &crew.entry(rng)).await?;
        }
    }
    Ok(())
}

/// Does something to a conversation's keys.
async fn tamper(fault: Fault, servers: &Servers, entry: &str) -> Result<(), Broken> {
    let mut redis = servers.redis().await?;
    let window = format!("{entry}:messages");
    match fault {
        Fault::EntryEvicted => redis.del::<_, ()>(entry).await?,
        Fault::WindowEvicted => redis.del::<_, ()>(window).await?,
        Fault::BothEvicted => redis.del::<_, ()>(&[entry, window.as_str()]).await?,
        _ if redis.hexists(entry, "validated_at").await? => {
            redis.hset::<_, _, _, ()>(entry, "validated_at", 1).await?;
        }
        _ => {}
    }
    Ok(())
}
