//! A write, as `core/src/store/write.rs` does it: intent, commit, publish.

use crate::command::{Command, Reply};
use crate::config::Config;
use crate::defences::Defence;
use crate::entry::{Begun, Epoch, NO_SERVER, News, Stored, Version};
use crate::row::{Change, Commit, IntentOutcome};
use crate::state::{Flaw, Process, Side, State, Writer, WriterStep};
use crate::system::{Action, Outcome};

impl Writer {
    pub(crate) fn actions(&self, at: usize, state: &State, actions: &mut Vec<Action>) {
        match &self.step {
            WriterStep::Answered => return,
            WriterStep::Unanswered => {
                if state.left.retry > 0 {
                    actions.push(Action::Retry(at));
                }
                return;
            }
            WriterStep::List => {
                if state.row.version > 0 && state.row.erasure.is_none() {
                    actions.push(Action::Postgres(at));
                }
                return;
            }
            WriterStep::Commit(_) | WriterStep::CommitWithoutIntent | WriterStep::Forget(_) => {
                actions.push(Action::Postgres(at));
            }
            WriterStep::Begin { .. } => {
                if state.left.clock_off > 0 {
                    actions.push(Action::BeginOff(at));
                }
                actions.extend(Outcome::possible(state, true).map(|o| Action::Redis(at, o)));
            }
            _ => actions.extend(Outcome::possible(state, false).map(|o| Action::Redis(at, o))),
        }
        let began = !matches!(self.step, WriterStep::Begin { .. });
        if began && state.left.crash > 0 {
            actions.push(Action::Crash(at));
        }
    }
}

impl Outcome {
    /// What may become of a command now. Only a step that is the same done twice is sent again.
    pub(crate) fn possible(state: &State, repeatable: bool) -> impl Iterator<Item = Self> {
        let left = &state.left;
        [
            (Self::Answered, true),
            (Self::Lost, left.lost > 0),
            (Self::ReplyLost, left.lost > 0),
            (Self::Late, left.late > 0),
            (Self::Resent, left.resent > 0 && repeatable),
        ]
        .into_iter()
        .filter_map(|(outcome, possible)| possible.then_some(outcome))
    }
}

impl Config {
    /// A writer's or the sweep's next command, and what comes of its answer.
    pub(crate) fn redis(&self, state: &mut State, at: usize, outcome: Outcome) {
        match state.processes[at].clone() {
            Process::Writer(mut writer) => {
                if let Some(command) = self.command_of(&writer) {
                    let reply = self.send(state, writer.side, &command, outcome);
                    writer.step = self.after(&mut writer, reply);
                    state.processes[at] = Process::Writer(writer.at_rest());
                }
            }
            Process::Sweep(sweep) => self.sweep(state, at, &sweep, outcome),
            Process::Removal(_) => self.unlink(state, at, outcome),
            Process::Reader(reader) => self.fill(state, at, reader, outcome),
        }
    }

    /// A writer's intent, set by a clock that takes any validity marker for due.
    pub(crate) fn begin_off(&self, state: &mut State, at: usize) {
        let Process::Writer(mut writer) = state.processes[at].clone() else { return };
        let Some(Command::Begin { intent, hint, over, .. }) = self.command_of(&writer) else { return };
        state.left.clock_off -= 1;
        let command = Command::Begin { intent, hint, over, due: true };
        let reply = self.send(state, writer.side, &command, Outcome::Answered);
        writer.step = self.after(&mut writer, reply);
        state.processes[at] = Process::Writer(writer);
    }

    pub(crate) fn command_of(&self, writer: &Writer) -> Option<Command> {
        Some(match &writer.step {
            WriterStep::Begin { .. } if writer.change == Change::Erase => {
                Command::PlaceIntent(writer.intent(self.defences.has(Defence::IntentNamesAttempt)))
            }
            WriterStep::Begin { hint, over } => {
                let intent = writer.intent(self.defences.has(Defence::IntentNamesAttempt));
                Command::Begin { intent, hint: *hint, over: over.iter().copied().collect(), due: false }
            }
            WriterStep::Publish(publish) => publish.clone(),
            WriterStep::DropAhead(begun, _) => Command::DropAhead(begun.epoch),
            WriterStep::WriteTombstone(version) => Command::WriteTombstone(*version),
            WriterStep::Withdraw(intent) => Command::Withdraw(*intent),
            WriterStep::ClearIntent | WriterStep::Invalidate(_) => Command::Invalidate,
            _ => return None,
        })
    }

    /// What a writer does after a command, answered or not.
    fn after(&self, writer: &mut Writer, reply: Option<Reply>) -> WriterStep {
        let done = reply.is_some();
        match (&writer.step, reply) {
            (WriterStep::Begin { .. }, Some(Reply::Begun(begun))) => {
                writer.attempt = writer.attempt.max(begun.intent.attempt);
                WriterStep::Commit(begun)
            }
            // It goes by the epoch that was listed before.
            (WriterStep::Begin { hint, .. }, Some(Reply::Done)) => {
                let intent = writer.intent(self.defences.has(Defence::IntentNamesAttempt));
                let (valid, complete) = (false, false);
                WriterStep::Commit(Begun { intent, epoch: *hint, valid, complete, replid: NO_SERVER })
            }
            (WriterStep::Begin { .. }, _) => self.without_intent(writer.change),
            (WriterStep::DropAhead(begun, epoch), _) => self.begin_again(begun, *epoch),
            (WriterStep::ClearIntent, _) if done => WriterStep::CommitWithoutIntent,
            (WriterStep::ClearIntent, _) => WriterStep::Unanswered,
            // Only a valid window is known to be without what was taken away.
            (WriterStep::Publish(Command::Publish { news, .. }), Some(Reply::Stored(stored)))
                if writer.change.removes_messages() && news.took_epoch =>
            {
                let version = news.facts.version;
                if stored == Stored::Validated {
                    self.forget(version)
                } else {
                    WriterStep::Invalidate(version)
                }
            }
            // What is erased goes from the cache in any case.
            (WriterStep::Invalidate(_), _) if writer.change == Change::Erase => WriterStep::Answered,
            // A full cache can still forget.
            (WriterStep::WriteTombstone(version), _) if !done => WriterStep::Invalidate(*version),
            (WriterStep::WriteTombstone(version) | WriterStep::Invalidate(version), _) if done => {
                self.forget(*version)
            }
            _ => WriterStep::Answered,
        }
    }

    /// What a write does that can set no intent. Deletions are refused unless the cache lets go of what it holds.
    fn without_intent(&self, change: Change) -> WriterStep {
        match change {
            _ if !self.defers || change == Change::Erase => WriterStep::Unanswered,
            Change::Delete => WriterStep::ClearIntent,
            change if change.removes_messages() => WriterStep::ClearIntent,
            _ => WriterStep::CommitWithoutIntent,
        }
    }

    /// Debts are noted only where they are paid.
    fn forget(&self, version: Version) -> WriterStep {
        if self.defers { WriterStep::Forget(version) } else { WriterStep::Answered }
    }

    /// A process's call to Postgres.
    pub(crate) fn postgres(&self, state: &mut State, at: usize) {
        match state.processes[at].clone() {
            Process::Writer(mut writer) => {
                writer.step = match writer.step {
                    WriterStep::List => self.list(state),
                    WriterStep::Commit(begun) => self.commit(state, &mut writer, begun),
                    WriterStep::CommitWithoutIntent => self.commit_without_intent(state, &writer),
                    WriterStep::Forget(version) => {
                        self.clear_pending_invalidation(state, version);
                        WriterStep::Answered
                    }
                    step => step,
                };
                state.processes[at] = Process::Writer(writer.at_rest());
            }
            Process::Reader(reader) => self.read(state, at, reader),
            Process::Sweep(sweep) => self.sweep_invalidation(state, at, &sweep),
            Process::Removal(_) => self.remove_row(state, at),
        }
    }

    fn commit(&self, state: &mut State, writer: &mut Writer, begun: Begun) -> WriterStep {
        match self.change(state, writer, IntentOutcome::Placed(begun)) {
            Commit::Done(news) => self.bring(writer, news, Some(begun)),
            Commit::Refused(epoch) => {
                writer.attempt += 1;
                if begun.epoch > epoch {
                    WriterStep::DropAhead(begun, epoch)
                } else {
                    self.begin_again(&begun, epoch)
                }
            }
            // A deletion done before is done again, to update a cache that was not updated.
            Commit::Deleted(version) if writer.change == Change::Delete => {
                WriterStep::WriteTombstone(version)
            }
            Commit::Deleted(_) | Commit::Nothing | Commit::Mismatch | Commit::Moving => {
                WriterStep::Withdraw(begun.intent)
            }
        }
    }

    /// What a writer does whose commit was refused: the row has that epoch.
    fn begin_again(&self, begun: &Begun, epoch: Option<Epoch>) -> WriterStep {
        let names_attempt = self.defences.has(Defence::IntentNamesAttempt);
        WriterStep::Begin { hint: epoch, over: names_attempt.then_some(begun.intent) }
    }

    fn commit_without_intent(&self, state: &mut State, writer: &Writer) -> WriterStep {
        match self.change(state, writer, IntentOutcome::Deferred) {
            Commit::Done(news) => self.bring(writer, news, None),
            Commit::Deleted(version) if writer.change == Change::Delete => {
                WriterStep::WriteTombstone(version)
            }
            _ => WriterStep::Answered,
        }
    }

    /// What follows a commit.
    fn bring(&self, writer: &Writer, news: News, begun: Option<Begun>) -> WriterStep {
        match (writer.change, begun) {
            (Change::Delete, _) => WriterStep::WriteTombstone(news.facts.version),
            (Change::Erase, _) => WriterStep::Invalidate(news.facts.version),
            (_, Some(begun)) => {
                WriterStep::Publish(Command::Publish { intent: begun.intent, replid: begun.replid, news })
            }
            (_, None) => WriterStep::Invalidate(news.facts.version),
        }
    }

    /// The commit itself; and what readers may answer from then on.
    fn change(&self, state: &mut State, writer: &Writer, intent: IntentOutcome) -> Commit {
        let is_current = state.row.has_moved == (writer.side == Side::Next);
        if !is_current && self.defences.has(Defence::GenerationOfCommit) {
            return Commit::Moving;
        }
        let before = state.row.view(self.capacity);
        let version = state.row.version;
        let (was_done, erasure) = (state.row.has_done(writer.operation), state.row.erasure);
        let commit = state.row.commit(self.capacity, writer.change, writer.operation, intent, self.defences);
        if commit == Commit::Mismatch && was_done {
            state.flaw = Some(Flaw::DeniedSuccess);
        }
        if state.row.version > version {
            if writer.change.expects().is_some_and(|expected| expected != version) {
                state.flaw = Some(Flaw::LostUpdate);
            }
            // Nobody answers for what is still read of what was erased.
            let had_intent = intent != IntentOutcome::Deferred || writer.change == Change::Erase;
            state.remember(before, had_intent, self.keeps_all());
            if self.defers
                && (!had_intent || writer.change == Change::Delete || writer.change.removes_messages())
            {
                state.row.pending_invalidation = Some(state.row.version);
            }
        }
        if state.row.erasure != erasure {
            state.unsettled = state.under_way();
        }
        commit
    }

    /// A pending invalidation is paid: from now on nobody reads what was before.
    pub(crate) fn clear_pending_invalidation(&self, state: &mut State, version: Version) {
        let is_newer = state.row.pending_invalidation > Some(version);
        if state.row.pending_invalidation.is_some()
            && (!is_newer || !self.defences.has(Defence::InvalidationByVersion))
        {
            state.row.pending_invalidation = None;
            state.catch_up(self.keeps_all());
        }
    }
}

impl Writer {
    /// What is forgotten once it no longer matters: fewer states to tell apart.
    fn at_rest(mut self) -> Self {
        if self.step == WriterStep::Answered {
            self.attempt = 0;
        }
        self
    }
}
