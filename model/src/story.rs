//! A way through the states as a story that can be read.

use std::fmt::{self, Write as _};

use crate::command::{Command, Reply};
use crate::config::Config;
use crate::lookup::{Lookup, Wanted};
use crate::row::Change;
use crate::search::{Story, Violation};
use crate::state::{Flaw, Node, Process, ReaderStep, Side, State, Sweep, WriterStep};
use crate::system::{Action, NOTHING_LEFT, Outcome, STAYS_AWAY};
use crate::words::List;

impl Story for Config {
    fn write(&self, story: &mut String, violation: &Violation<Self>) -> fmt::Result {
        write_story(story, self, violation)
    }
}

fn write_story(story: &mut String, config: &Config, violation: &Violation<Config>) -> fmt::Result {
    let Some((first, _)) = violation.path.first() else { return Ok(()) };
    writeln!(story, "    At first")?;
    write_stores(story, None, first)?;
    for (at, pair) in violation.path.windows(2).enumerate() {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        writeln!(story, "{:>3} {}", at + 1, Teller { config, before, after }.sentence(*action))?;
        write_stores(story, Some(before), after)?;
    }
    let last = violation.path.last().map_or(first, |(state, _)| state);
    writeln!(story, "\n    {}", ending(config, last, violation.property))
}

/// The stores that an action changed.
fn write_stores(story: &mut String, before: Option<&State>, after: &State) -> fmt::Result {
    if before.is_none_or(|before| before.row != after.row) {
        writeln!(story, "      Postgres     {}", after.row)?;
    }
    if before.is_none_or(|before| before.redis != after.redis) {
        writeln!(story, "      Redis        {}", after.redis)?;
    }
    if let Some(replica) = &after.replica
        && before.is_none_or(|before| before.replica != after.replica)
    {
        writeln!(story, "      its replica  {replica}")?;
    }
    if let Some(next) = &after.next
        && before.is_none_or(|before| before.next != after.next)
    {
        writeln!(story, "      next cache   {next}")?;
    }
    if let Some(isolated) = &after.isolated
        && before.is_none_or(|before| before.isolated != after.isolated)
    {
        writeln!(story, "      old primary  {isolated}")?;
    }
    Ok(())
}

/// What is wrong with a state.
fn ending(config: &Config, state: &State, property: &str) -> String {
    match property {
        STAYS_AWAY => return "There is a conversation under the id of one that was erased.".into(),
        NOTHING_LEFT => return format!("The erasure is complete. Redis has {}.", state.redis),
        _ => {}
    }
    if let Some(Flaw::ValidWithGap) = state.flaw {
        let held = state.redis.cache.window.len();
        let count = state.redis.cache.entry.as_ref().and_then(|entry| entry.facts);
        let count = count.map_or(0, |facts| facts.count.min(config.capacity));
        return format!("Validated: {held} of {count} messages, which the next read takes for a miss.");
    }
    match state.flaw {
        Some(Flaw::LostUpdate) => return "A write was done at another version than it depends on.".into(),
        Some(Flaw::DeniedSuccess) => return "A write that was done was answered as if it was not.".into(),
        _ => {}
    }
    let answered = |node: &Node| {
        let server = config.server(node);
        match node.cache.lookup(&server, Wanted::Window, None) {
            Lookup::Miss(_) => match node.cache.lookup(&server, Wanted::Row, None) {
                Lookup::Hit(facts, _) => format!("version {} and does not ask for messages", facts.version),
                _ => "nothing".into(),
            },
            Lookup::Hit(facts, window) => format!("version {}, messages {}", facts.version, List(&window)),
            Lookup::Deleted => "that there is no such conversation".into(),
        }
    };
    let answer = match &state.isolated {
        Some(isolated) if !config.answers_exactly(state, isolated, 0) => {
            format!("from the old primary {}", answered(isolated))
        }
        _ => match &state.next {
            Some(next) if !config.answers_exactly(state, next, state.floor) => {
                format!("from the next cache {}", answered(next))
            }
            _ => answered(&state.redis),
        },
    };
    let view = state.row.view(config.capacity);
    let now = if view.deleted {
        "it deleted".to_owned()
    } else {
        format!("version {}, messages {}", view.facts.version, List(&view.window))
    };
    format!("A read now hits and answers {answer}. Postgres has {now}.")
}

struct Teller<'a> {
    config: &'a Config,
    before: &'a State,
    after: &'a State,
}

impl Teller<'_> {
    fn sentence(&self, action: Action) -> String {
        match action {
            Action::Redis(at, outcome) => {
                self.command(at, self.config.next_command(self.before, at), outcome)
            }
            Action::Lease(at, asking, outcome) => {
                let command = match &self.before.processes[at] {
                    Process::Reader(reader) => Some((asking.side, reader.ask_with(asking))),
                    _ => None,
                };
                let disproved = if asking.disproved { ", holding a newer ticket" } else { "" };
                let off = if asking.clock_off { ", by a clock that is far off" } else { "" };
                self.command(at, command, outcome) + disproved + off
            }
            Action::BeginOff(at) => {
                let command = self.config.next_command(self.before, at);
                self.command(at, command, Outcome::Answered) + ", by a clock that is far off"
            }
            Action::Postgres(at) => self.postgres(at),
            Action::Crash(at) => format!("{} dies", self.name(at)),
            Action::Retry(at) => format!("{}'s client asks again", self.name(at)),
            Action::Execute(at) => self.late(at),
            Action::EvictEntry => "Redis evicts the entry".into(),
            Action::EvictWindow => "Redis evicts the window".into(),
            Action::Replicate => "The replica catches up".into(),
            Action::Failover => "The replica takes over".into(),
            Action::Split => "The replica takes over, which the old primary does not notice".into(),
            Action::Expire => "The validity marker comes due for a check".into(),
            Action::ClockBack => "The clock steps back".into(),
            Action::Elapse => "So much time passes that no validity marker stands any more".into(),
            Action::Move => "The old code is gone, and the next cache takes over".into(),
        }
    }

    fn name(&self, at: usize) -> String {
        match &self.before.processes[at] {
            Process::Writer(writer) => writer.to_string(),
            Process::Reader(reader) => format!("Reader {}", reader.id),
            Process::Sweep(_) | Process::Removal(_) => "The sweep".into(),
        }
    }

    fn command(&self, at: usize, command: Option<(Side, Command)>, outcome: Outcome) -> String {
        let Some((side, command)) = command else { return self.name(at) };
        let where_ = match side {
            Side::Primary => "",
            Side::Isolated => " at the old primary",
            Side::Next => " in the next cache",
        };
        let reply = |command| self.reply(side, command);
        let fate = match outcome {
            Outcome::Answered => reply(&command),
            Outcome::Lost => "; the command is lost".into(),
            Outcome::ReplyLost => "; the answer is lost".into(),
            Outcome::Late => ", but gives it up while it is still under way".into(),
            Outcome::Resent => {
                let again = self.config.sent_again(&command);
                let reply = reply(&again);
                format!(
                    ", loses the connection and, on another, {again}{reply}; the first is still under way"
                )
            }
        };
        let gave_up =
            matches!(&self.after.processes[at], Process::Writer(w) if w.step == WriterStep::Unanswered);
        let end = if gave_up { "; it answers an error" } else { "" };
        format!("{} {command}{where_}{fate}{end}", self.name(at))
    }

    fn late(&self, at: usize) -> String {
        let command = &self.before.late[at];
        format!("Late, Redis executes what was under way: {command}{}", self.reply(Side::Primary, command))
    }

    /// What a command answers, found by executing it once more.
    fn reply(&self, side: Side, command: &Command) -> String {
        let mut state = self.before.clone();
        match self.config.execute(&mut state, side, command) {
            Some(Reply::Begun(begun)) => format!(": returns {begun}"),
            Some(Reply::Leased(leased)) => format!(": {leased}"),
            Some(Reply::Stored(stored)) => format!(": {stored}"),
            Some(Reply::Done) | None => String::new(),
        }
    }

    fn postgres(&self, at: usize) -> String {
        let name = self.name(at);
        let (before, after) = (&self.before.row, &self.after.row);
        let taking = if after.epoch > before.epoch {
            format!(", taking epoch {}", after.epoch)
        } else {
            String::new()
        };
        match (&self.before.processes[at], &self.after.processes[at]) {
            (Process::Writer(old), Process::Writer(new)) => match (&old.step, &new.step) {
                (WriterStep::List, _) => format!("{name} lists the conversation"),
                (WriterStep::Forget(_), _) => format!("{name} strikes off the pending invalidation"),
                (_, WriterStep::Begin { .. } | WriterStep::DropAhead(..)) => {
                    format!("Postgres refuses the commit of {name}: it has another epoch")
                }
                (_, WriterStep::Withdraw(_)) if before.has_moved != (new.side == Side::Next) => {
                    format!("Postgres refuses the commit of {name}: another cache is the one that counts")
                }
                _ if after.version == before.version => format!("{name} finds nothing left to write"),
                (WriterStep::CommitWithoutIntent, _) if new.change == Change::Erase => {
                    format!("{name} commits without an intent{taking}")
                }
                (WriterStep::CommitWithoutIntent, _) => {
                    format!("{name} commits without an intent, noting a pending invalidation{taking}")
                }
                _ => format!("{name} commits{taking}"),
            },
            (Process::Reader(_), Process::Reader(reader)) => match &reader.step {
                ReaderStep::Fill(Command::Fill { news, .. }, _) => {
                    format!("{name} reads Postgres{taking}: {news}")
                }
                _ => format!("{name} reads Postgres and finds no conversation"),
            },
            (Process::Removal(_), _) => format!("{name} removes the row and remembers the id"),
            (Process::Sweep(Sweep::Forget(_)), _) => format!("{name} strikes off the pending invalidation"),
            _ => format!("{name} finds a pending invalidation"),
        }
    }
}

impl Config {
    /// The command that a process sends next, and to whom; not a reader's first one, which it may send in several ways.
    fn next_command(&self, state: &State, at: usize) -> Option<(Side, Command)> {
        match &state.processes[at] {
            Process::Writer(writer) => Some((writer.side, self.command_of(writer)?)),
            Process::Sweep(_) | Process::Removal(_) => Some((Side::Primary, Command::Invalidate)),
            Process::Reader(reader) => match &reader.step {
                ReaderStep::Fill(command, side) => Some((*side, command.clone())),
                _ => None,
            },
        }
    }
}
