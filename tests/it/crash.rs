//! Every request of every operation is lost, loses its reply or comes late, with its process dying of it or living on;
//! then readers are asked.

mod erased_meanwhile;
mod operation;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use conversation_core::{ConversationKey, ConversationStore, Error, Limit, Range, RecordKey, RecordScope};
use conversation_tests::{Failpoint, LinkFault, Loss, Profile, Stack, in_each_profile, is_outage};
use futures_util::StreamExt as _;
use redis::AsyncCommands as _;

use operation::{Operation, REQUESTS, keys_of};

in_each_profile!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    a_process_may_die_at_every_request_and_every_request_may_be_lost_or_late,
);

/// Longer than an intent whose writer died keeps readers away.
const INTENTS_ARE_DEAD: Duration = Duration::from_millis(5_500);

/// What happens to which of an operation's requests.
#[derive(Clone, Copy)]
struct Case {
    operation: Operation,
    request: u32,
    link_fault: LinkFault,
    loss: Loss,
    dies: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, request, link_fault, loss, dies } = self;
        let process = if *dies { "dies" } else { "lives" };
        write!(f, "{operation:?}, request {request}: {link_fault:?}, {loss:?}, the process {process}")
    }
}

/// A conversation as a reader sees it: its title, and each message's position and JSON. None: there is none.
type View = Option<(Option<String>, Vec<(i64, String)>)>;

/// A case on its way.
struct Trial<'a> {
    stack: &'a Stack,
    case: Case,
    key: ConversationKey,
    failpoint: Arc<Failpoint>,
    healthy: ConversationStore,
    before: View,
}

impl<'a> Trial<'a> {
    async fn new(stack: &'a Stack, healthy: ConversationStore, case: Case) -> Self {
        let key = case.operation.key();
        case.operation.prepare(stack, &healthy, &key).await;
        let before = stored(&healthy, stack, &key).await;
        Self { stack, case, key, failpoint: Failpoint::new(case.link_fault, case.loss), healthy, before }
    }

    /// Does it, again on another conversation if the request that was to go wrong never came: on a busy machine an earlier
    /// one may exceed its time-out.
    async fn run(stack: &'a Stack, healthy: ConversationStore, case: Case) -> Self {
        for _ in 0..10 {
            let trial = Self::new(stack, healthy.clone(), case).await;
            if trial.goes_wrong().await {
                return trial;
            }
        }
        panic!("{case}: it never made that request");
    }

    /// Performs the operation with its link_fault, and asks readers. Whether the link_fault happened.
    async fn goes_wrong(&self) -> bool {
        let (store, _proxies) = self.stack.store_behind(&self.failpoint).await;
        warm_up(self.case.operation, self.stack, &store).await;
        self.failpoint.set(self.case.request);
        let (operation, key) = (self.case.operation, self.key.clone());
        let mut performs = tokio::spawn(async move { operation.perform(&store, &key).await });
        let done = tokio::select! {
            () = self.failpoint.sprung() => {
                if self.case.dies {
                    performs.abort();
                }
                performs.await
            }
            done = &mut performs => {
                if self.failpoint.requests() <= self.case.request {
                    return false;
                }
                done
            }
        };
        if let Ok(Err(error)) = &done {
            assert!(is_expected(error), "{}: {error:?}", self.case);
            if matches!(error, Error::CacheUnavailable(_)) {
                let now = stored(&self.healthy, self.stack, &self.key).await;
                assert_eq!(now, self.before, "{}: nothing has changed, says {error:?}", self.case);
            }
        }
        self.check("at once").await;
        if self.case.link_fault == LinkFault::Delay {
            self.failpoint.release().await;
            self.check("after the late request").await;
        }
        true
    }

    /// Readers see what Postgres holds; where the cache could not be updated, they may also see what was before.
    async fn check(&self, when: &str) {
        self.is_whole(when).await;
        // A commit whose process died a moment ago may still be on its way.
        let expected = stored(&self.healthy, self.stack, &self.key).await;
        let read = seen(&self.healthy, &self.key).await;
        if read != expected && read != stored(&self.healthy, self.stack, &self.key).await {
            let excused = self.may_defer() && self.owes().await && read == self.before;
            assert!(excused, "{}, {when}: {read:?} was read, {expected:?} is stored", self.case);
        }
    }

    /// Never one without the other: the message m3, and the record that is written with it.
    async fn is_whole(&self, when: &str) {
        if !matches!(self.case.operation, Operation::AddWithRecord | Operation::ReplaceWithRecord) {
            return;
        }
        let query =
            "select exists (select from messages where conversation_key = c.key and message_id = 'm3')
                = exists (select from records where scope_key = c.key and key = 'm3')
            from conversations c where conversation_id = $1";
        let query = sqlx::query_scalar(query).bind(self.key.id.as_str());
        let is_whole: bool = query.fetch_one(&mut self.stack.postgres().await).await.unwrap();
        assert!(is_whole, "{}, {when}: the message without its record, or the record alone", self.case);
    }

    /// A deletion, and a replacement, is not done if the cache cannot be updated.
    fn may_defer(&self) -> bool {
        !matches!(
            self.case.operation,
            Operation::Delete
                | Operation::Erase
                | Operation::DeleteMessage
                | Operation::Replace
                | Operation::ReplaceWithRecord
        )
    }

    async fn owes(&self) -> bool {
        let query = "select exists (select from pending_invalidations where conversation_id = $1)";
        let query = sqlx::query_scalar(query).bind(self.key.id.as_str());
        query.fetch_one(&mut self.stack.postgres().await).await.unwrap()
    }

    /// The client asks again; then nothing is excused.
    async fn again(&self) {
        let done = self.case.operation.perform(&self.healthy, &self.key).await;
        assert!(done.is_ok() || matches!(done, Err(Error::NotFound)), "{}: {done:?}", self.case);
        let expected = stored(&self.healthy, self.stack, &self.key).await;
        assert_eq!(seen(&self.healthy, &self.key).await, expected, "{}, asked again", self.case);
        assert!(held(self.stack, &self.key).await <= 100, "{}", self.case);
        self.is_whole("asked again").await;
        if self.case.operation == Operation::PutRecord {
            let scope = RecordScope::Conversation(self.key.clone());
            let found =
                self.healthy.index().record(&scope, &RecordKey::new("m3").unwrap(), &[]).await.unwrap();
            assert_eq!(found.unwrap().value.unwrap(), b"three", "{}", self.case);
        }
    }

    async fn settled(&self) {
        let expected = stored(&self.healthy, self.stack, &self.key).await;
        for _ in 0..100 {
            assert_eq!(seen(&self.healthy, &self.key).await, expected, "{}, in the end", self.case);
            // Of what is erased the cache knows nothing.
            if self.case.operation == Operation::Erase {
                assert!(expected.is_none(), "{}: it was asked for again", self.case);
                return;
            }
            if self.healthy.recent(&self.key, Limit::MAX, None).await.unwrap().source.is_hit() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}: no hit in the end", self.case);
    }
}

/// So that connections stand, and statements and scripts are known.
async fn warm_up(operation: Operation, stack: &Stack, store: &ConversationStore) {
    let scratch = operation.key();
    operation.prepare(stack, store, &scratch).await;
    operation.perform(store, &scratch).await.unwrap();
}

fn is_expected(error: &Error) -> bool {
    is_outage(error) || matches!(error, Error::ErasureUnderway)
}

/// What Postgres holds.
async fn stored(store: &ConversationStore, stack: &Stack, key: &ConversationKey) -> View {
    let history = store.history(key, Range::Before(i64::MAX), Limit::MAX, None).await.unwrap();
    let messages = history.found?.items;
    let query = sqlx::query_scalar("select title from conversations where conversation_id = $1");
    let title = query.bind(key.id.as_str()).fetch_one(&mut stack.postgres().await).await.unwrap();
    Some((title, messages.iter().map(|message| (message.seq(), message.json().to_owned())).collect()))
}

/// What a reader sees.
async fn seen(store: &ConversationStore, key: &ConversationKey) -> View {
    let messages = store.recent(key, Limit::MAX, None).await.unwrap().found;
    let conversation = store.get(key, None).await.unwrap().found;
    assert_eq!(messages.is_some(), conversation.is_some());
    let items = messages?.items;
    Some((
        conversation?.title,
        items.iter().map(|message| (message.seq(), message.json().to_owned())).collect(),
    ))
}

async fn held(stack: &Stack, key: &ConversationKey) -> usize {
    stack.redis().await.llen(keys_of(key).1).await.unwrap()
}

/// Whether it does. On a busy machine it may make others.
async fn rehearse(stack: &Stack, operation: Operation) -> u32 {
    let failpoint = Failpoint::new(LinkFault::LoseRequest, Loss::Close);
    let (store, _proxies) = stack.store_behind(&failpoint).await;
    warm_up(operation, stack, &store).await;
    let key = operation.key();
    operation.prepare(stack, &stack.store(), &key).await;
    failpoint.set(u32::MAX);
    operation.perform(&store, &key).await.unwrap();
    failpoint.requests()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (operation, requests) in Operation::ALL.into_iter().zip(REQUESTS) {
        for request in 0..requests {
            for (link_fault, loss) in [
                (LinkFault::LoseRequest, Loss::Silence),
                (LinkFault::LoseRequest, Loss::Close),
                (LinkFault::LoseReply, Loss::Silence),
                (LinkFault::LoseReply, Loss::Close),
                (LinkFault::Delay, Loss::Silence),
            ] {
                cases.extend([true, false].map(|dies| Case { operation, request, link_fault, loss, dies }));
            }
        }
    }
    cases
}

/// Does something to all trials, some at a time.
async fn each<'a, F: Future<Output = ()>>(trials: &'a [Trial<'a>], step: impl Fn(&'a Trial<'a>) -> F) {
    futures_util::stream::iter(trials).for_each_concurrent(32, step).await;
}

async fn a_process_may_die_at_every_request_and_every_request_may_be_lost_or_late(profile: Profile) {
    let stack = Stack::in_profile_with_own_postgres(profile).await;
    for (operation, requests) in Operation::ALL.into_iter().zip(REQUESTS) {
        let mut made = Vec::new();
        while !made.contains(&requests) {
            assert!(made.len() < 10, "{operation:?} makes {made:?} requests, not {requests}");
            made.push(rehearse(&stack, operation).await);
        }
    }
    let healthy: Vec<_> = std::iter::repeat_with(|| stack.store()).take(8).collect();
    let run = |(case, store): (Case, &ConversationStore)| Trial::run(&stack, store.clone(), case);
    let runs = futures_util::stream::iter(cases().into_iter().zip(healthy.iter().cycle())).map(run);
    let trials: Vec<_> = runs.buffer_unordered(32).collect().await;
    each(&trials, Trial::again).await;
    let sweep = stack.store().sweep(Duration::from_secs(20)).await.unwrap();
    assert!(!sweep.unfinished);
    tokio::time::sleep(INTENTS_ARE_DEAD).await;
    each(&trials, Trial::settled).await;
    assert_eq!(trials.len(), 630);
}
