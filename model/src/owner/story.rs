//! A way through the states as a story that can be read.

use std::fmt::{self, Write as _};

use super::state::{
    Action, CallerStep, CreatorStep, Process, Round, RoundStep, Set, State, SweepStep, Visibility,
};
use super::{Config, HIDDEN, NO_COPY};
use crate::search::{Story, Violation};

impl Story for Config {
    fn write(&self, story: &mut String, violation: &Violation<Self>) -> fmt::Result {
        write_story(story, violation)
    }
}

fn write_story(story: &mut String, violation: &Violation<Config>) -> fmt::Result {
    let Some((first, _)) = violation.path.first() else { return Ok(()) };
    writeln!(story, "    At first\n      {}", stored(first))?;
    for (at, pair) in violation.path.windows(2).enumerate() {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        writeln!(story, "{:>3} {}", at + 1, sentence(before, after, *action))?;
        if stored(before) != stored(after) {
            writeln!(story, "      {}", stored(after))?;
        }
    }
    writeln!(story, "\n    {}", ending(violation.property))
}

fn ending(property: &str) -> &'static str {
    match property {
        HIDDEN => "A caller was answered, and what was there when it asked can be read.",
        NO_COPY => "No erasure is under way, and a copy of what was erased can be read.",
        _ => {
            "A conversation was hidden that was created after the erasure had ended, or while it was under way."
        }
    }
}

/// What Postgres has.
fn stored(state: &State) -> String {
    let erasing = state.erasing.map_or("no erasure under way".into(), |id| format!("{} hides", erasure(id)));
    let there = state.conversations.iter().enumerate().filter(|(_, c)| c.visibility != Visibility::Absent);
    let conversations = there.map(|(at, c)| {
        let is = if c.is_live() { "readable" } else { "hidden" };
        format!("{} {is}", conversation(at))
    });
    format!("{erasing}; {}", conversations.collect::<Vec<_>>().join(", "))
}

fn sentence(before: &State, after: &State, action: Action) -> String {
    match action {
        Action::Crash(at) => format!("{} dies", name(before, at)),
        Action::Step(at) => step(before, after, at, None),
        Action::HideBut(at, one) => {
            let changed = format!("{}, whose epoch has changed", conversation(one));
            format!("{}, all but {changed}", step(before, after, at, Some(one)))
        }
    }
}

fn step(before: &State, after: &State, at: usize, refused: Option<usize>) -> String {
    let end = match &after.processes[at] {
        Process::Caller { step: CallerStep::Answered, .. } => ", and answers",
        _ => "",
    };
    let does = match &before.processes[at] {
        Process::Caller { step, .. } => call(step, before, after, at, refused),
        Process::Sweep(SweepStep::Find) => "finds an erasure that has not ended".into(),
        Process::Sweep(SweepStep::Round(step)) => round(*step, after, at, refused),
        Process::Creator { creates, step } => create(*step, *creates, before),
    };
    format!("{} {does}{end}", name(before, at))
}

fn call(step: &CallerStep, before: &State, after: &State, at: usize, refused: Option<usize>) -> String {
    match (step, &after.processes[at]) {
        (CallerStep::Ask, _) => "asks for an erasure".into(),
        (_, Process::Caller { step: CallerStep::Register { waited: Some(_), .. }, .. }) => {
            "waits for the owner's row".into()
        }
        (_, Process::Caller { step: CallerStep::Register { listed, .. }, .. }) => lists(*listed),
        (CallerStep::Register { .. }, process) => match process.round() {
            Some(Round { erasure: id, .. }) if before.registered() < after.registered() => {
                format!("registers {}", erasure(id))
            }
            Some(Round { erasure: id, .. }) => format!("joins {}", erasure(id)),
            None => "finds that an erasure has ended since".into(),
        },
        (CallerStep::Round(step), _) => round(*step, after, at, refused),
        _ => String::new(),
    }
}

fn round(Round { erasure: id, step }: Round, after: &State, at: usize, refused: Option<usize>) -> String {
    let next = after.processes[at].round().map(|round| round.step);
    match (step, next) {
        (RoundStep::Hide(listed), Some(_)) => {
            format!("hides {} for {}", list(listed & !refused.map_or(0, |one| 1 << one)), erasure(id))
        }
        (RoundStep::List, Some(RoundStep::Hide(listed))) => lists(listed),
        (RoundStep::List, _) => "lists nothing".into(),
        (RoundStep::Look, Some(RoundStep::List)) => "looks again, and finds something to hide".into(),
        (RoundStep::Look, _) => "looks again, and finds nothing to hide".into(),
        (RoundStep::End, _) => format!("ends {}", erasure(id)),
        (RoundStep::Hide(_), None) => format!("finds that {} has ended", erasure(id)),
    }
}

fn create(step: CreatorStep, creates: usize, before: &State) -> String {
    let origin = before.conversations[creates].origin.unwrap_or(0);
    match step {
        CreatorStep::Look if before.erasing.is_none() => "finds no erasure under way".into(),
        CreatorStep::Look => "begins, although an erasure is under way".into(),
        CreatorStep::Copy if before.conversations[origin].is_live() => {
            format!("copies {}", conversation(origin))
        }
        CreatorStep::Copy => format!("finds {} erased", conversation(origin)),
        CreatorStep::Commit | CreatorStep::Over => "commits".into(),
    }
}

fn name(state: &State, at: usize) -> String {
    match &state.processes[at] {
        Process::Caller { caller, .. } => format!("Caller {}", caller + 1),
        Process::Sweep(_) => "The sweep".into(),
        Process::Creator { creates, .. } => format!("Creator of {}", conversation(*creates)),
    }
}

fn lists(set: Set) -> String {
    format!("lists {}", list(set))
}

fn list(set: Set) -> String {
    let names: Vec<_> = (0..8).filter(|at| set & 1 << at != 0).map(conversation).collect();
    if names.is_empty() { "nothing".into() } else { names.join(" and ") }
}

/// `X`, `Y`, `Z`.
fn conversation(at: usize) -> String {
    let letter = u8::try_from(at).map_or('?', |at| char::from(b'X' + at));
    letter.to_string()
}

/// `erasure 1`.
fn erasure(id: u8) -> String {
    format!("erasure {}", id + 1)
}
