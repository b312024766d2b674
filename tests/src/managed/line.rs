//! One connection through a front: what comes from the client is passed on or answered, and every answer has its turn.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::manners::{Kind, Shared};
use super::rules;
use super::wire::{self, Command};
use crate::access::{BEHIND, USER};

/// What a serverless cache says of commands that scripts may not use.
const NOT_FROM_SCRIPT: &str = "ERR This Redis command is not allowed from script";
/// Its words for this are not known; a client knows nothing but that it is an error.
const THROTTLED: &str = "ERR Request throttled: the cache is scaling, or at its limit";
const FORGOTTEN: &str = "NOSCRIPT No matching script. Please use EVAL.";
const DISCARDED: &str = "EXECABORT Transaction discarded because of previous errors.";

/// What the client is answered next.
enum Answer {
    /// This.
    Ours(Vec<u8>),
    /// What the server answers to a command.
    OfTheServer(Command),
    /// This, when the server has answered.
    After(Vec<u8>),
}

/// What both directions of a connection know.
struct Line {
    shared: Arc<Shared>,
    logged_in: AtomicBool,
}

/// What comes from the client.
struct Requests {
    line: Arc<Line>,
    to_server: BufWriter<OwnedWriteHalf>,
    answers: UnboundedSender<Answer>,
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
    let (from_client, to_client) = client.into_split();
    let line = Arc::new(Line { shared, logged_in: AtomicBool::new(false) });
    let (answers, due) = unbounded_channel();
    let requests = Requests {
        line: Arc::clone(&line),
        to_server: BufWriter::new(to_server),
        answers,
        transaction: None,
        scripts: HashSet::new(),
        forgotten: 0,
    };
    let replies = line.replies(due, BufReader::new(from_server), BufWriter::new(to_client));
    // What was asked is done also when its client is gone.
    tokio::try_join!(requests.pass(BufReader::new(from_client)), replies).map(drop)
}

/// Whether it happens this time, which is so once in so often.
fn happens(one_in: Option<u32>) -> bool {
    one_in.is_some_and(|often| fastrand::u32(0..often) == 0)
}

impl Line {
    fn announced(&self) -> u16 {
        self.shared.announced.load(Ordering::SeqCst)
    }

    async fn replies(
        &self,
        mut due: UnboundedReceiver<Answer>,
        mut from: BufReader<OwnedReadHalf>,
        mut to: BufWriter<OwnedWriteHalf>,
    ) -> io::Result<()> {
        while let Some(answer) = due.recv().await {
            let reply = match answer {
                Answer::Ours(reply) => reply,
                Answer::OfTheServer(command) => self.translated(&command, wire::reply(&mut from).await?),
                Answer::After(reply) => wire::reply(&mut from).await.map(|_| reply)?,
            };
            to.write_all(&reply).await?;
            if due.is_empty() {
                to.flush().await?;
            }
        }
        to.shutdown().await
    }

    /// A reply as the front gives it. What a server says of itself and its cluster becomes what the front does.
    fn translated(&self, command: &Command, reply: Vec<u8>) -> Vec<u8> {
        let (name, said) = (command.word(0), wire::said(&reply).map(|said| in_its_words(&said)));
        // Who may not ask gets an error from the server. One that is in no cluster is to seem as if it were.
        let denied = said.as_ref().is_some_and(|said| said.starts_with("NO"));
        let ours = (name == "cluster" && !denied).then(|| rules::cluster(&command.word(1), self.announced()));
        if let Some(ours) = ours.flatten() {
            return ours;
        }
        let Some(said) = said else {
            self.logged_in.fetch_or(matches!(name.as_str(), "auth" | "hello"), Ordering::SeqCst);
            return reply;
        };
        if ["NOPERM", "ACL failure", NOT_FROM_SCRIPT].iter().any(|denied| said.contains(denied)) {
            self.shared.note(&name, &said);
        }
        wire::error(&said)
    }

    /// Why a command goes no further, if it does not.
    fn refusal(&self, command: &Command, in_transaction: bool) -> Option<String> {
        let (name, manners) = (command.word(0), &self.shared.manners);
        if let Some(said) = rules::refusal(command) {
            return Some(said);
        }
        let both = format!("{name}|{}", command.word(1));
        if manners.access.is_unknown(&name) || manners.access.is_unknown(&both) {
            return Some(rules::unknown(command));
        }
        if matches!(name.as_str(), "info" | "time") {
            return self.refusal_of_what_is_answered_here(&name, in_transaction);
        }
        let throttled = !rules::sets_up(command) && happens(manners.throttles_one_in);
        throttled.then(|| THROTTLED.to_owned())
    }

    fn refusal_of_what_is_answered_here(&self, name: &str, in_transaction: bool) -> Option<String> {
        if !self.logged_in.load(Ordering::SeqCst) {
            return Some("NOAUTH Authentication required.".into());
        }
        if in_transaction {
            return Some(format!("ERR {name} is not supported inside of a transaction"));
        }
        let allowed = self.shared.manners.access.allows(name);
        (!allowed).then(|| format!("NOPERM User {USER} has no permissions to run the '{name}' command"))
    }
}

impl Requests {
    async fn pass(mut self, mut from: BufReader<OwnedReadHalf>) -> io::Result<()> {
        while let Some(command) = self.next(&mut from).await? {
            let answer = self.answer(command).await?;
            // Nobody takes it any more when the connection is over.
            let _ = self.answers.send(answer);
            if from.buffer().is_empty() {
                self.to_server.flush().await?;
            }
        }
        self.to_server.shutdown().await
    }

    /// The next command; none: there will be no more.
    async fn next(&self, from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Command>> {
        let Some(idle) = self.line.shared.manners.idle else { return wire::command(from).await };
        tokio::time::timeout(idle, wire::command(from)).await.unwrap_or(Ok(None))
    }

    async fn answer(&mut self, command: Command) -> io::Result<Answer> {
        if self.line.shared.manners.kind == Kind::Nodes {
            return self.pass_on(command).await;
        }
        if let Some(said) = self.line.refusal(&command, self.transaction.is_some()) {
            return Ok(self.refuse(&command, &said));
        }
        match command.word(0).as_str() {
            "info" => return Ok(Answer::Ours(rules::info(self.line.announced()))),
            "time" => return Ok(Answer::Ours(rules::time())),
            "multi" => self.transaction = Some(false),
            "exec" if self.transaction.take() == Some(true) => return self.discard().await,
            "discard" => self.transaction = None,
            "script" if command.word(1) == "load" => self.learn(command.0.get(2)),
            "auth" | "hello" => return self.pass_on(from_behind(command)).await,
            _ if rules::runs_a_script(&command) && self.forgets(&command) => {
                return Ok(Answer::Ours(wire::error(FORGOTTEN)));
            }
            _ => {}
        }
        self.pass_on(command).await
    }

    fn refuse(&mut self, command: &Command, said: &str) -> Answer {
        self.line.shared.note(&command.word(0), said);
        if let Some(refused) = &mut self.transaction {
            *refused = true;
        }
        Answer::Ours(wire::error(said))
    }

    async fn pass_on(&mut self, command: Command) -> io::Result<Answer> {
        self.to_server.write_all(&command.bytes()).await?;
        Ok(Answer::OfTheServer(command))
    }

    /// A transaction of which something was refused here is none that the server may execute.
    async fn discard(&mut self) -> io::Result<Answer> {
        self.to_server.write_all(&Command::of(&["DISCARD"]).bytes()).await?;
        Ok(Answer::After(wire::error(DISCARDED)))
    }

    /// Whether a script did not come with this connection, or was forgotten since.
    fn forgets(&mut self, command: &Command) -> bool {
        let forgotten = self.line.shared.forgotten();
        if std::mem::replace(&mut self.forgotten, forgotten) != forgotten {
            self.scripts.clear();
        }
        if !command.word(0).starts_with("evalsha") {
            self.learn(command.0.get(1));
            return false;
        }
        !self.scripts.contains(&command.word(1)) || happens(self.line.shared.manners.forgets_one_in)
    }

    fn learn(&mut self, text: Option<&Vec<u8>>) {
        let text = text.map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
        self.scripts.insert(redis::Script::new(&text).get_hash().to_owned());
    }
}

/// The same as a user who may do the same, but for what scripts may not.
fn from_behind(mut login: Command) -> Command {
    if let Some(user) = login.0.iter_mut().skip(1).find(|word| word.as_slice() == USER.as_bytes()) {
        *user = BEHIND.into();
    }
    login
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
