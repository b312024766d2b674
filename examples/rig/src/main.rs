//! An agent of Rig that remembers: run it twice, and it goes on where it was. A script stands for the model, so that it needs no key.

use std::error::Error;

use conversation_client::Client;
use conversation_client::rig::SessionStore;
use rig_agent::AgentBuilder;
use rig_core::test_utils::{MockCompletionModel, MockTurn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("API_URL").unwrap_or_else(|_| "http://127.0.0.1:9000".to_owned());
    let store = SessionStore::new(Client::new(&url)?, "rig");

    let model =
        MockCompletionModel::from_turns(["Nice to meet you, Alice.", "You are Alice."].map(MockTurn::text));
    let agent = AgentBuilder::new(model.clone()).memory(store).conversation("alice").build();
    for question in ["Hi, I am Alice.", "Who am I?"] {
        println!("user:  {question}\nagent: {}", agent.prompt(question).await?);
    }

    // What the model was shown: all that was said before, and the question.
    let shown = model.requests().last().map_or(0, |request| request.chat_history.len());
    println!("The model has read {shown} messages.");
    Ok(())
}
