//! Every request of every operation comes late, and what the owner has is erased before it does: nothing of that comes back.

use std::time::Duration;

use conversation_core::{ConversationKey, ConversationStore, Limit};
use conversation_tests::{Failpoint, LinkFault, Loss, Profile, Stack, in_each_profile, traces};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::operation::{Operation, REQUESTS, origin, own_key};
use super::{INTENTS_ARE_DEAD, is_expected, seen, stored};

in_each_profile!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    what_is_erased_while_a_request_is_late_does_not_come_back,
);

/// An operation whose request is late, and what was erased meanwhile.
struct Late {
    case: String,
    erased: Vec<ConversationKey>,
    /// What it may have created afterwards.
    key: ConversationKey,
}

impl Late {
    /// Does it, again with another owner if that request never came.
    async fn run(stack: &Stack, healthy: &ConversationStore, operation: Operation, request: u32) -> Self {
        for _ in 0..10 {
            if let Some(late) = Self::goes(stack, healthy, operation, request).await {
                return late;
            }
        }
        panic!("{operation:?}: it never made request {request}");
    }

    async fn goes(
        stack: &Stack,
        healthy: &ConversationStore,
        operation: Operation,
        request: u32,
    ) -> Option<Self> {
        let failpoint = Failpoint::new(LinkFault::Delay, Loss::Silence);
        let (store, _proxies) = stack.store_behind(&failpoint).await;
        let (scratch, key) = (own_key(), own_key());
        operation.prepare(stack, &store, &scratch).await;
        operation.perform(&store, &scratch).await.unwrap();
        operation.prepare(stack, healthy, &key).await;
        failpoint.set(request);
        let case = format!("{operation:?}, request {request} late");
        let performs = tokio::spawn({
            let key = key.clone();
            async move { operation.perform(&store, &key).await }
        });
        tokio::select! {
            () = failpoint.sprung() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => return None,
        }
        let mut erased = Vec::new();
        for key in [key.clone(), origin(&key)] {
            if stored(healthy, stack, &key).await.is_some() {
                erased.push(key);
            }
        }
        let until = Instant::now() + Duration::from_secs(20);
        healthy.erase_owner(&key.owner, "owner", until).await.unwrap();
        let late = Self { case, erased, key };
        late.check(healthy, "erased").await;
        failpoint.release().await;
        late.check(healthy, "after the late request").await;
        if let Err(error) = performs.await.unwrap() {
            let is_refused = matches!(
                error,
                conversation_core::Error::ConversationDeleted
                    | conversation_core::Error::NotFound
                    | conversation_core::Error::OriginNotFound
            );
            assert!(is_refused || is_expected(&error), "{}: {error:?}", late.case);
        }
        late.check(healthy, "in the end").await;
        // What comes after the erasure may be created, if it has another id than what was erased.
        if !late.erased.contains(&late.key) {
            assert_eq!(
                seen(healthy, &late.key).await,
                stored(healthy, stack, &late.key).await,
                "{}",
                late.case
            );
        }
        Some(late)
    }

    async fn check(&self, store: &ConversationStore, when: &str) {
        for key in &self.erased {
            let window = store.recent(key, Limit::MAX, None).await.unwrap();
            let row = store.get(key, None).await.unwrap();
            assert!(window.found.is_none() && row.found.is_none(), "{}, {when}: {key:?} is there", self.case);
        }
    }
}

async fn what_is_erased_while_a_request_is_late_does_not_come_back(profile: Profile) {
    let stack = Stack::in_profile_with_own_postgres(profile).await;
    let healthy = stack.store();
    let operations =
        Operation::ALL.into_iter().zip(REQUESTS).filter(|(operation, _)| *operation != Operation::Erase);
    let cases: Vec<_> =
        operations.flat_map(|(operation, requests)| (0..requests).map(move |at| (operation, at))).collect();
    let run = |(operation, request)| Late::run(&stack, &healthy, operation, request);
    let all: Vec<_> = futures_util::stream::iter(cases).map(run).buffer_unordered(8).collect().await;
    assert_eq!(all.len(), 55);
    tokio::time::sleep(INTENTS_ARE_DEAD).await;
    let swept = stack.store().settling(Duration::ZERO).sweep(Duration::from_secs(20)).await.unwrap();
    assert!(!swept.unfinished, "{swept:?}");
    for late in &all {
        late.check(&healthy, "after the sweep").await;
        for key in &late.erased {
            let left = traces::in_redis(&mut stack.redis().await, key.id.as_str()).await.unwrap();
            assert!(left.is_empty(), "{}: {left:?}", late.case);
        }
    }
}
