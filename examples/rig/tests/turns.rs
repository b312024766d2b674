//! Agents that talk in one conversation, behind a server that loses, delays and doubles requests.

use std::collections::BTreeSet;

use conversation_client::Client;
use conversation_client::rig::SessionStore;
use rig_agent::AgentBuilder;
use rig_agent::run::PromptError;
use rig_core::message::Message;
use rig_core::test_utils::MockCompletionModel;
use rig_memory::SessionError;
use uuid::Uuid;

const WORKERS: usize = 2;

/// All that an agent and its user say in one turn.
fn said(worker: usize, turn: usize) -> [String; 2] {
    [format!("question {turn} of {worker}"), format!("answer {turn} to {worker}")]
}

/// Takes turns until they are done. Where the other was faster, the turn is taken again.
async fn talk(store: SessionStore, log: String, worker: usize, turns: usize) -> usize {
    let mut refused = 0;
    for turn in 0..turns {
        let [question, answer] = said(worker, turn);
        loop {
            let agent = AgentBuilder::new(MockCompletionModel::text(&answer))
                .memory(store.clone())
                .conversation(&log)
                .build();
            match agent.prompt(question.as_str()).await {
                Ok(_) => break,
                Err(PromptError::Memory { error: SessionError::Changed { .. }, .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    refused
}

fn text(message: &Message) -> String {
    serde_json::to_value(message).unwrap()["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_turn_is_lost_doubled_or_out_of_order() {
    let turns: usize = std::env::var("TURNS").map_or(10, |turns| turns.parse().unwrap());
    let api = |name| std::env::var(name).unwrap_or_else(|_| "http://127.0.0.1:9000".to_owned());
    let lossy = Client::builder(&api("FAULTY_URL")).retries(10).build().unwrap();
    let (name, log) = (Uuid::new_v4().to_string(), "shared".to_owned());

    let store = SessionStore::new(lossy, &name);
    let workers =
        [0, 1].map(|worker| tokio::spawn(talk(store.clone(), log.clone(), worker, turns / WORKERS)));
    let mut refused = 0;
    for worker in workers {
        refused += worker.await.unwrap();
    }

    let direct = SessionStore::new(Client::new(&api("API_URL")).unwrap(), &name);
    let kept = rig_memory::load_async(&direct, &log).await.unwrap();
    let texts: Vec<String> = kept.messages().iter().map(|message| text(message)).collect();
    let mut next = [0; WORKERS];
    for pair in texts.chunks(2) {
        let worker = (0..WORKERS).find(|&worker| pair == said(worker, next[worker]));
        next[worker.unwrap_or_else(|| panic!("{pair:?} after {next:?} turns"))] += 1;
    }
    assert_eq!(next, [turns / WORKERS; WORKERS]);
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len());
    println!("{turns} turns, {refused} taken again");
}
