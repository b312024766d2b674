//! A server that was left alone, and has long answered again.

use conversation_core::{ConversationStore, Limit, Message, Source, Told};
use conversation_tests::{Stack, batch, key, user};
use rustix::process::{Pid, Signal, kill_process};

async fn recent(store: &ConversationStore) -> (Vec<i64>, Source) {
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    (read.found.unwrap().items.iter().map(Message::seq).collect(), read.source)
}

#[tokio::test]
async fn one_answer_that_came_late_hides_no_write_after_it() {
    let stack = Stack::start().await;
    let (writer, reader) = (stack.store(), stack.store());
    writer.add(&key("c"), &batch([user("one")])).await.unwrap();
    assert_eq!(recent(&reader).await, (vec![1], Source::Hit));
    let server = Pid::from_raw(i32::try_from(stack.valkey.pid().unwrap()).unwrap()).unwrap();
    kill_process(server, Signal::STOP).unwrap();
    assert_ne!(recent(&writer).await.1, Source::Hit);
    kill_process(server, Signal::CONT).unwrap();
    assert_eq!(recent(&reader).await, (vec![1], Source::Hit), "the server answers again");
    let added = writer.add(&key("c"), &batch([user("two")])).await.unwrap();
    assert_eq!((added.told, recent(&reader).await.0), (Told::Published, vec![1, 2]));
}
