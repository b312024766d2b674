//! Updates, the deletion of one message, and what the sweep does.

use conversation_core::{Change, ConversationFields, Limit, Message, MessageId, Precondition};
use conversation_tests::{Profile, Stack, batch, in_each_profile, key, user, user_as};
use redis::AsyncCommands as _;
use serde_json::json;

in_each_profile!(
    title_and_metadata_change_apart_and_are_cached,
    bad_updates_are_refused,
    a_deleted_message_is_gone_everywhere_and_the_others_keep_their_places,
    a_window_with_holes_is_still_the_last_hundred,
    the_sweep_drains_pending_invalidations_when_redis_is_back,
);

const C: &str = "/v1/conversations/c";
const MESSAGES: &str = "/v1/conversations/c/messages";
const WINDOW: &str = "conversation:{local/c}:messages";

async fn title_and_metadata_change_apart_and_are_cached(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    api.post(MESSAGES, user("x")).await;
    let titled = api.post(C, r#"{"title":"Trip"}"#).await;
    assert_eq!(
        (titled.status, titled.at("/title"), titled.number("/version")),
        (200, "Trip".into(), 2),
        "{titled:?}"
    );
    let both = api.post(C, r#"{"metadata":{"a":"1","b":"2"}}"#).await;
    assert_eq!(
        (both.at("/title"), both.at("/metadata/b"), both.number("/version")),
        ("Trip".into(), "2".into(), 3)
    );
    let got = api.get(C).await;
    assert_eq!((got.is_hit(), got.json()), (true, both.json()));
    assert!(api.get(MESSAGES).await.is_hit(), "the window is still whole");
    let cleared = api.post(C, r#"{"title":null,"metadata":null}"#).await;
    assert_eq!(
        (cleared.json()["title"].clone(), cleared.json()["metadata"].clone()),
        (json!(null), json!({}))
    );
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    assert_eq!(api.get(C).await.json(), cleared.json(), "from Postgres");
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    let cold = api.post(C, r#"{"title":"cold"}"#).await;
    let (got, recent) = (api.get(C).await, api.get(MESSAGES).await);
    assert_eq!((got.is_hit(), got.json(), recent.is_hit()), (true, cold.json(), true), "a cold update warms");
}

async fn bad_updates_are_refused(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    assert_eq!(api.post(C, r#"{"title":"x"}"#).await.status, 404);
    api.post(MESSAGES, user("x")).await;
    for (body, param) in [
        ("{}", "body"),
        (r#"{"name":"x"}"#, "body"),
        (r#"{"title":1}"#, "title"),
        (r#"{"metadata":{"a":1}}"#, "metadata"),
        (r#"{"metadata":[]}"#, "metadata"),
    ] {
        let refused = api.post(C, body).await;
        assert_eq!(
            (refused.status, refused.at("/error/param").as_str()),
            (400, param),
            "{body}: {}",
            refused.text
        );
    }
    assert_eq!(api.get(C).await.number("/version"), 1);
    assert!(api.get(C).await.is_hit(), "no intent is left behind");
    for (method, path) in [("DELETE", "/v1/conversations/nope"), ("DELETE", "/v1/conversations/nope/items/m")]
    {
        assert_eq!(api.send(api.request(method, path)).await.status, 404, "{path}");
    }
    let left: Vec<String> =
        redis::cmd("KEYS").arg("*nope*").query_async(&mut stack.redis().await).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

async fn a_deleted_message_is_gone_everywhere_and_the_others_keep_their_places(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    for n in 1..=3 {
        api.post(MESSAGES, user_as(&format!("m{n}"), &format!("text {n}"))).await;
    }
    for (id, left) in [("m3", vec![1, 2]), ("m1", vec![2])] {
        let deleted = api.delete(&format!("{C}/items/{id}")).await;
        assert_eq!(deleted.status, 200, "{}", deleted.text);
        assert_eq!(deleted.number("/message_count"), i64::try_from(left.len()).unwrap());
        let recent = api.get(MESSAGES).await;
        assert_eq!((recent.seqs(), recent.is_hit()), (left.clone(), true), "{recent:?}");
        redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
        assert_eq!(api.get(MESSAGES).await.seqs(), left, "from Postgres");
        assert!(api.get(MESSAGES).await.is_hit());
        assert_eq!(api.get(&format!("{MESSAGES}?after=0")).await.seqs(), left);
        let again = api.delete(&format!("{C}/items/{id}")).await;
        assert_eq!((again.status, &again.text), (200, &deleted.text));
        assert!(api.get(MESSAGES).await.is_hit(), "no intent is left behind");
    }
    assert_eq!(api.post(MESSAGES, user("next")).await.seqs(), [4], "a position is not given out again");
    let recent = api.get(MESSAGES).await;
    assert_eq!((recent.seqs(), recent.is_hit()), (vec![2, 4], true));
    let cached: Vec<String> = stack.redis().await.lrange(WINDOW, 0, -1).await.unwrap();
    assert!(!cached.concat().contains("text 3"));
    let pending_invalidations: i64 = sqlx::query_scalar("select count(*) from pending_invalidations")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(pending_invalidations, 0);
}

async fn a_window_with_holes_is_still_the_last_hundred(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let store = stack.store();
    let messages: Vec<_> = (1..=120).map(|n| user_as(&format!("m{n}"), "x")).collect();
    store.add(&key("c"), &batch(&messages[..100])).await.unwrap();
    store.add(&key("c"), &batch(&messages[100..])).await.unwrap();
    for n in [120, 50, 21] {
        store
            .delete_message(&key("c"), &MessageId::new(format!("m{n}")).unwrap(), Precondition::None)
            .await
            .unwrap();
        let expect: Vec<i64> = {
            let gone: &[i64] = if n == 120 {
                &[120]
            } else if n == 50 {
                &[50, 120]
            } else {
                &[21, 50, 120]
            };
            let live: Vec<i64> = (1..=120).filter(|seq| !gone.contains(seq)).collect();
            live[live.len() - 100..].to_vec()
        };
        for _ in 0..2 {
            let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
            let seqs: Vec<i64> = read.found.unwrap().items.iter().map(Message::seq).collect();
            assert_eq!((seqs, read.source.is_hit()), (expect.clone(), true), "without m{n}");
        }
        // A warm add trims by what the window must begin with.
        store
            .update(
                &key("c"),
                &Change::from(ConversationFields { title: Some(None), ..ConversationFields::default() }),
            )
            .await
            .unwrap();
    }
    store.add(&key("c"), &batch([user("new")])).await.unwrap();
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    assert_eq!((read.source.is_hit(), read.found.unwrap().items.len()), (true, 100));
}

async fn the_sweep_drains_pending_invalidations_when_redis_is_back(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    api.post(MESSAGES, user("one")).await;
    assert!(api.get(MESSAGES).await.is_hit());
    // A writer that cannot reach Redis, beside readers that can.
    let cut_off = stack.api_with(&[("REDIS_URL", "redis://127.0.0.1:1/")]).await;
    cut_off.post(MESSAGES, user("two")).await;
    cut_off.post(C, r#"{"title":"three"}"#).await;
    let stale = api.get(MESSAGES).await;
    assert_eq!((stale.is_hit(), stale.seqs()), (true, vec![1]), "no reply of Redis could tell");
    assert_eq!(api.get(&format!("{MESSAGES}?min_version=2")).await.seqs(), [1, 2], "but a ticket does");
    cut_off.post(MESSAGES, user("four")).await;

    let swept = api.lambda.invoke("sweep", "{}".into()).await;
    assert_eq!(swept.unwrap(), "null");
    assert_eq!(api.get(MESSAGES).await.seqs(), [1, 2, 3]);
    assert!(api.get(MESSAGES).await.is_hit());
    let pending_invalidations: i64 = sqlx::query_scalar("select count(*) from pending_invalidations")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(pending_invalidations, 0);
    assert!(api.log().contains("\"swept.invalidations_drained\":1"), "{}", api.log());
}
