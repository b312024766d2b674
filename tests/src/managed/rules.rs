//! What a serverless cache refuses, and what it says of itself.
//!
//! Sources: AWS's pages on supported and restricted commands and on "Valkey and Redis OSS configuration and limits" (3,999
//! arguments; one virtual node for all slots), and what others have reported of scripts and transactions.

use std::time::{SystemTime, UNIX_EPOCH};

use super::wire::{Command, array, bulk, integer};

/// The most words that a command may have.
const MOST_WORDS: usize = 3_999;

/// What is refused outside of transactions and scripts as well: by its name, or by its name and its first argument.
const ADMINISTRATION: &[&str] = &[
    "acl",
    "bgrewriteaof",
    "bgsave",
    "client|kill",
    "client|no-evict",
    "client|pause",
    "client|unpause",
    "config",
    "debug",
    "failover",
    "flushall",
    "flushdb",
    "keys",
    "lastsave",
    "latency",
    "memory",
    "migrate",
    "module",
    "monitor",
    "move",
    "psync",
    "replicaof",
    "role",
    "save",
    "script|debug",
    "script|flush",
    "script|kill",
    "shutdown",
    "slaveof",
    "slowlog",
    "swapdb",
    "sync",
];

/// What may be asked of the cluster.
const OF_THE_CLUSTER: &[&str] =
    &["countkeysinslot", "getkeysinslot", "info", "keyslot", "myid", "nodes", "shards", "slots"];

/// The id of the one node that there seems to be.
const NODE: &str = "5e4e4f0d65c3a0f5b7b1d7a0f3f6a1c2b3d4e5f6";

/// Whether a command is one that a connection begins with, before anything is asked of the cache.
pub(super) fn sets_up(command: &Command) -> bool {
    matches!(command.word(0).as_str(), "auth" | "hello" | "client" | "cluster" | "select" | "multi" | "exec")
}

/// Whether a command runs a script.
pub(super) fn runs_a_script(command: &Command) -> bool {
    matches!(command.word(0).as_str(), "eval" | "evalsha" | "eval_ro" | "evalsha_ro")
}

/// What is said to a command that a serverless cache does not take, wherever it comes; none: it does.
pub(super) fn refusal(command: &Command) -> Option<String> {
    let (name, first) = (command.word(0), command.word(1));
    if command.0.len() > MOST_WORDS {
        return Some(format!("ERR {name} has more than {MOST_WORDS} arguments"));
    }
    let both = format!("{name}|{first}");
    let foreign = name == "cluster" && !OF_THE_CLUSTER.contains(&first.as_str());
    if foreign || ADMINISTRATION.iter().any(|refused| *refused == name || *refused == both) {
        return Some(unknown(command));
    }
    if name == "select" && first != "0" {
        return Some("ERR SELECT is not allowed in cluster mode".into());
    }
    if runs_a_script(command) && command.word(2) == "0" {
        return Some(format!("ERR {name} without keys is not supported"));
    }
    None
}

/// What a server says of a command that it does not know.
pub(super) fn unknown(command: &Command) -> String {
    format!("ERR unknown command '{}', with args beginning with: {}", command.word(0), command.word(1))
}

/// INFO, without what a client could know a server by.
pub(super) fn info(port: u16) -> Vec<u8> {
    let text = format!(
        "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\nredis_mode:cluster\r\n\
         os:Amazon ElastiCache\r\ntcp_port:{port}\r\n# Clients\r\nconnected_clients:1\r\n# Cluster\r\ncluster_enabled:1\r\n"
    );
    bulk(text.as_bytes())
}

/// TIME.
pub(super) fn time() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    array(&[bulk(now.as_secs().to_string().as_bytes()), bulk(now.subsec_micros().to_string().as_bytes())])
}

/// What the cluster is said to be: one node at this port, which has every slot. None: the server's own answer will do.
pub(super) fn cluster(what: &str, port: u16) -> Option<Vec<u8>> {
    let (host, text) = ("127.0.0.1", |text: &str| bulk(text.as_bytes()));
    Some(match what {
        "slots" => {
            let node = [text(host), integer(port.into()), text(NODE), array(&[])];
            array(&[array(&[integer(0), integer(16_383), array(&node)])])
        }
        "shards" => {
            let node = [
                [text("id"), text(NODE), text("port"), integer(port.into()), text("ip"), text(host)],
                [text("endpoint"), text(host), text("role"), text("master"), text("health"), text("online")],
            ];
            let slots = array(&[integer(0), integer(16_383)]);
            array(&[array(&[text("slots"), slots, text("nodes"), array(&[array(&node.concat())])])])
        }
        "nodes" => text(&format!("{NODE} {host}:{port}@{port} myself,master - 0 0 1 connected 0-16383\n")),
        "myid" => text(NODE),
        _ => return None,
    })
}
