//! One connection through a front. One command at a time is with the server, so that every reply has its place.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::wire::{self, Command};
use super::{Kind, Shared, rules};
use crate::access::{BEHIND, USER};

/// What a serverless cache says instead, of commands that scripts may not use.
const NOT_FROM_SCRIPT: &str = "ERR This Redis command is not allowed from script";
/// Its words for this are not known; a client knows nothing but that it is an error.
const THROTTLED: &str = "ERR Request throttled: the cache is scaling, or at its limit";

/// A connection, and what is known of it.
struct Line {
    shared: Arc<Shared>,
    from_server: BufReader<OwnedReadHalf>,
    to_server: OwnedWriteHalf,
    logged_in: bool,
    /// A transaction is being put together; whether something of it was refused.
    transaction: Option<bool>,
    /// The hashes of the scripts that came with this connection.
    scripts: HashSet<String>,
    /// How often all scripts had been forgotten when one last came.
    forgotten: u32,
}

/// One connection, until it is closed on either side, has been idle for too long, or the front is gone.
pub(super) async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut over = shared.over.subscribe();
    tokio::select! {
        // Whatever went wrong, the connection is closed.
        _ = talk(client, shared) => {}
        _ = over.wait_for(|over| *over) => {}
    }
}

async fn talk(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.target.load(Ordering::SeqCst))).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_server, to_server) = server.into_split();
    let (from, to) = client.into_split();
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
    let mut line = Line {
        shared,
        from_server: BufReader::new(from_server),
        to_server,
        logged_in: false,
        transaction: None,
        scripts: HashSet::new(),
        forgotten: 0,
    };
    while let Some(command) = line.next(&mut from).await? {
        to.write_all(&line.answer(command).await?).await?;
        if from.buffer().is_empty() {
            to.flush().await?;
        }
    }
    to.flush().await
}

/// Whether it happens this time, which is so once in so often.
fn happens(one_in: Option<u32>) -> bool {
    one_in.is_some_and(|often| fastrand::u32(0..often) == 0)
}

impl Line {
    /// The next command; none: there will be no more.
    async fn next(&self, from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Command>> {
        let Some(idle) = self.shared.manners.idle else { return wire::command(from).await };
        tokio::time::timeout(idle, wire::command(from)).await.unwrap_or(Ok(None))
    }

    async fn answer(&mut self, command: Command) -> io::Result<Vec<u8>> {
        if self.shared.manners.kind == Kind::Nodes {
            return self.pass_on_as(&command).await;
        }
        let refusal = self.refusal(&command);
        if let Some(said) = refusal {
            return Ok(self.refuse(&command, &said));
        }
        match command.word(0).as_str() {
            "info" => Ok(rules::info(self.announced())),
            "time" => Ok(rules::time()),
            "multi" => self.begin(&command).await,
            "exec" | "discard" => self.end(&command).await,
            _ if rules::runs_a_script(&command) => self.run(&command).await,
            "script" => self.load(&command).await,
            "auth" | "hello" => self.log_in(command).await,
            _ => self.pass_on_as(&command).await,
        }
    }

    fn announced(&self) -> u16 {
        self.shared.announced.load(Ordering::SeqCst)
    }

    /// Why a command goes no further, if it does not.
    fn refusal(&self, command: &Command) -> Option<String> {
        let (name, manners) = (command.word(0), &self.shared.manners);
        if let Some(said) = rules::refusal(command) {
            return Some(said);
        }
        if manners.access.is_unknown(&name) {
            return Some(rules::unknown(command));
        }
        if matches!(name.as_str(), "info" | "time") {
            return self.refusal_of_what_is_answered_here(&name);
        }
        let throttled = !rules::sets_up(command) && happens(manners.throttles_one_in);
        throttled.then(|| THROTTLED.to_owned())
    }

    fn refusal_of_what_is_answered_here(&self, name: &str) -> Option<String> {
        if !self.logged_in {
            return Some("NOAUTH Authentication required.".into());
        }
        if self.transaction.is_some() {
            return Some(format!("ERR {name} is not supported inside of a transaction"));
        }
        let allowed = self.shared.manners.access.allows(name);
        (!allowed).then(|| format!("NOPERM User {USER} has no permissions to run the '{name}' command"))
    }

    fn refuse(&mut self, command: &Command, said: &str) -> Vec<u8> {
        self.shared.note(&command.word(0), said);
        if let Some(refused) = &mut self.transaction {
            *refused = true;
        }
        wire::error(said)
    }

    /// Passes a command on; what the server says of itself and its cluster becomes what the front does.
    async fn pass_on_as(&mut self, command: &Command) -> io::Result<Vec<u8>> {
        let reply = self.pass_on(command).await?;
        // Who may not ask is told so by the server. One that is in no cluster is to seem as if it were.
        let denied = wire::said(&reply).is_some_and(|said| said.starts_with("NO"));
        let ours = rules::cluster(&command.word(1), self.announced()).filter(|_| !denied);
        Ok(if command.word(0) == "cluster" { ours.unwrap_or(reply) } else { reply })
    }

    async fn pass_on(&mut self, command: &Command) -> io::Result<Vec<u8>> {
        self.to_server.write_all(&command.bytes()).await?;
        let reply = wire::reply(&mut self.from_server).await?;
        let Some(said) = wire::said(&reply) else { return Ok(reply) };
        let said = in_its_words(&said);
        if ["NOPERM", "ACL failure", NOT_FROM_SCRIPT].iter().any(|denied| said.contains(denied)) {
            self.shared.note(&command.word(0), &said);
        }
        Ok(wire::error(&said))
    }

    /// Logs in behind as a user who may do the same, but for what scripts may not.
    async fn log_in(&mut self, mut command: Command) -> io::Result<Vec<u8>> {
        if let Some(user) = command.0.iter_mut().skip(1).find(|word| word.as_slice() == USER.as_bytes()) {
            *user = BEHIND.into();
        }
        let reply = self.pass_on(&command).await?;
        self.logged_in |= wire::said(&reply).is_none();
        Ok(reply)
    }

    async fn begin(&mut self, command: &Command) -> io::Result<Vec<u8>> {
        let reply = self.pass_on(command).await?;
        if wire::said(&reply).is_none() {
            self.transaction = Some(false);
        }
        Ok(reply)
    }

    /// A transaction of which something was refused here is none that the server may execute.
    async fn end(&mut self, command: &Command) -> io::Result<Vec<u8>> {
        let refused = self.transaction.take() == Some(true);
        if refused && command.word(0) == "exec" {
            self.pass_on(&Command::of(&["DISCARD"])).await?;
            return Ok(wire::error("EXECABORT Transaction discarded because of previous errors."));
        }
        self.pass_on(command).await
    }

    /// Runs a script if it came with this connection and was not forgotten meanwhile.
    async fn run(&mut self, command: &Command) -> io::Result<Vec<u8>> {
        let forgotten = self.shared.forgotten();
        if std::mem::replace(&mut self.forgotten, forgotten) != forgotten {
            self.scripts.clear();
        }
        if command.word(0).starts_with("evalsha") {
            let known = self.scripts.contains(&command.word(1));
            if !known || happens(self.shared.manners.forgets_one_in) {
                return Ok(wire::error("NOSCRIPT No matching script. Please use EVAL."));
            }
        } else {
            self.learn(command.0.get(1));
        }
        self.pass_on(command).await
    }

    async fn load(&mut self, command: &Command) -> io::Result<Vec<u8>> {
        let reply = self.pass_on(command).await?;
        if command.word(1) == "load" && wire::said(&reply).is_none() {
            self.learn(command.0.get(2));
        }
        Ok(reply)
    }

    fn learn(&mut self, text: Option<&Vec<u8>>) {
        let text = text.map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
        self.scripts.insert(redis::Script::new(&text).get_hash().to_owned());
    }
}

/// An error as a serverless cache tells it: what no user may do in a script is no matter of rights there.
fn in_its_words(said: &str) -> String {
    let said = said.replace(BEHIND, USER);
    let in_script =
        said.contains("ACL failure") && ["'time'", "'info'"].iter().any(|name| said.contains(name));
    if !in_script {
        return said;
    }
    let place = said.split_once(" script: ").map(|(_, place)| format!(" script: {place}"));
    format!("{NOT_FROM_SCRIPT}{}", place.unwrap_or_default())
}
