//! A client that writes the word everywhere, and reads.

use std::sync::Arc;

use conversation_core::{
    Batch, Change, ConversationFields, ConversationId, ConversationKey, ConversationStore, Error, Exported,
    Fork, IdempotencyKey, Limit, Metadata, NewConversation, OwnerId, Precondition, RecordBatch, RecordScope,
    Scope, Title,
};
use fastrand::Rng;

use crate::chaos::record::{Conversation, Read, Record, Sight};
use crate::chaos::state::stored;
use crate::{Broken, batch, user_as};

use super::knowledge::{Knowledge, Known};

/// How many requests a client remembers, to send them again when nobody expects it.
const REMEMBERED: usize = 50;

pub(super) struct Writer {
    rng: Rng,
    owner: OwnerId,
    store: ConversationStore,
    knowledge: Arc<Knowledge>,
    /// What all names begin with.
    name: String,
    named: u32,
    /// Requests that were acknowledged.
    created: Vec<(ConversationId, NewConversation)>,
}

impl Writer {
    pub(super) fn new(
        rng: Rng,
        owner: OwnerId,
        store: ConversationStore,
        knowledge: Arc<Knowledge>,
        name: String,
    ) -> Self {
        Self { rng, owner, store, knowledge, name, named: 0, created: Vec::new() }
    }

    pub(super) async fn work(mut self) {
        loop {
            if let Err(error) = self.step().await {
                // What a client asks for is well-formed.
                self.knowledge.note(Record::Odd(error.to_string()));
                return;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Broken> {
        match self.rng.u32(0..100) {
            0..12 => self.create().await?,
            12..24 => self.add().await?,
            24..28 => self.fork().await?,
            28..32 => self.update().await?,
            32..36 => self.write_records().await?,
            36..42 => self.create_again().await,
            42..46 => self.export().await,
            46..52 => self.import().await,
            _ => self.read().await,
        }
        Ok(())
    }

    async fn create(&mut self) -> Result<(), Broken> {
        let id = ConversationId::new(self.next_name())?;
        let text = self.next_name();
        let messages = self.messages()?.under(Some(IdempotencyKey::new(self.next_name())?));
        let fields = ConversationFields::of(
            Some(Title::new(text.as_str())?),
            Metadata::new([(text.clone().chars().take(64).collect(), text)].into())?,
        );
        let new = NewConversation { id: Some(id.clone()), fields, fork: None, messages };
        self.send(id, new).await;
        Ok(())
    }

    async fn fork(&mut self) -> Result<(), Broken> {
        let Some(of) = self.knowledge.any_live(&mut self.rng) else { return Ok(()) };
        let id = ConversationId::new(self.next_name())?;
        let fork = Some(Fork { of, at: None, records_prefix: String::new() });
        let messages = self.messages()?;
        let fields = ConversationFields::default();
        self.send(id.clone(), NewConversation { id: Some(id), fields, fork, messages }).await;
        Ok(())
    }

    /// Creates a conversation, with as many tries as a client may need.
    async fn send(&mut self, id: ConversationId, new: NewConversation) {
        let since = self.knowledge.moment();
        for _ in 0..3 {
            match self.store.create(self.owner.clone(), new.clone()).await {
                Ok(_) => {
                    self.knowledge.created(id.clone(), since);
                    self.created.push((id, new));
                    let old = self.created.len().saturating_sub(REMEMBERED);
                    self.created.drain(..old);
                    return;
                }
                // An earlier try has created it, and it may have been erased meanwhile.
                Err(Error::ConversationExists { .. }) => return self.knowledge.created(id, since),
                Err(Error::ConversationDeleted | Error::OriginNotFound) => return,
                Err(error) => self.knowledge.failed("creation", &error),
            }
        }
    }

    /// Sends a request a second time, long after it was answered.
    async fn create_again(&mut self) {
        let Some((id, new)) = self.rng.choice(&self.created).cloned() else { return };
        let known = self.knowledge.known(&id);
        let done = self.store.create(self.owner.clone(), new).await.map(drop);
        self.comes_back("creation", &id, known, done);
    }

    async fn add(&mut self) -> Result<(), Broken> {
        let since = self.knowledge.moment();
        let live = self.knowledge.any_live(&mut self.rng).filter(|_| self.rng.u8(0..5) > 0);
        let id = match live {
            Some(id) => id,
            None => ConversationId::new(self.next_name())?,
        };
        let (key, messages) = (self.key(id), self.messages()?);
        for _ in 0..3 {
            match self.store.add(&key, &messages).await {
                Ok(_) => {
                    self.knowledge.created(key.id, since);
                    return Ok(());
                }
                Err(Error::ConversationDeleted) => return Ok(()),
                Err(error) => self.knowledge.failed("add", &error),
            }
        }
        Ok(())
    }

    async fn update(&mut self) -> Result<(), Broken> {
        let Some(id) = self.knowledge.any_live(&mut self.rng) else { return Ok(()) };
        let title = Some(Some(Title::new(self.next_name())?));
        let change = Change::from(ConversationFields { title, ..ConversationFields::default() });
        match self.store.update(&self.key(id), &change).await {
            Ok(_) | Err(Error::NotFound) => {}
            Err(error) => self.knowledge.failed("update", &error),
        }
        Ok(())
    }

    /// Writes records of the owner's own.
    async fn write_records(&mut self) -> Result<(), Broken> {
        let scope = RecordScope::Owner(self.owner.clone());
        let records = self.records()?.under(Some(IdempotencyKey::new(self.next_name())?));
        for _ in 0..2 {
            match self.store.index().write_records(&scope, &records).await {
                // The first try was done, and erased before the second.
                Ok(_) | Err(Error::IdempotencyConflict { .. }) => return Ok(()),
                Err(error) => self.knowledge.failed("records", &error),
            }
        }
        Ok(())
    }

    /// Takes a copy of all that there is, to import it again some time.
    async fn export(&mut self) {
        let index = self.store.index();
        let exported = async {
            let mut export = index.export(&Scope::Owner(self.owner.clone())).await?;
            let mut lines = Vec::new();
            loop {
                let next = export.next().await?;
                if next.is_empty() || lines.len() > 200 {
                    return Ok(lines);
                }
                lines.extend(next);
            }
        };
        let lines: Vec<Exported> = match exported.await {
            Ok(lines) => lines,
            Err(error) => return self.knowledge.failed("export", &error),
        };
        let mut conversation = None;
        let mut messages = Vec::new();
        for line in lines {
            match line {
                Exported::Conversation(next) => {
                    if let Some(last) = conversation.replace(next) {
                        self.knowledge.exported(last, std::mem::take(&mut messages));
                    }
                }
                Exported::Message(message) => messages.push(message),
                Exported::Owner(_) | Exported::Record(_) => {}
            }
        }
    }

    async fn import(&mut self) {
        let Some((conversation, messages, known)) = self.knowledge.any_export(&mut self.rng) else { return };
        let done = self.store.import(&conversation, &messages, true).await.map(drop);
        self.comes_back("import", &conversation.key.id, known, done);
    }

    /// Nothing that was erased before it was asked for is answered as if it were there.
    fn comes_back(&self, what: &'static str, id: &ConversationId, known: Known, done: Result<(), Error>) {
        match (known, done) {
            (Known::Erased(_), Ok(())) => {
                self.knowledge.note(Record::Odd(format!("{what} brings {id} back, which is erased")));
            }
            (_, Ok(()) | Err(Error::ConversationDeleted | Error::OriginNotFound)) => {}
            (Known::Live | Known::Unsure, Err(Error::ConversationExists { .. })) => {}
            (_, Err(error)) => self.knowledge.failed(what, &error),
        }
    }

    async fn read(&mut self) {
        let since = self.knowledge.moment();
        let Some((id, known)) = self.knowledge.any(&mut self.rng) else { return };
        let key = self.key(id);
        let began = self.knowledge.now();
        let answer = if self.rng.bool() {
            self.store.recent(&key, Limit::MAX, None).await.map(|read| (read.found.is_some(), read.source))
        } else {
            self.store.get(&key, None).await.map(|read| (read.found.is_some(), read.source))
        };
        let ended = self.knowledge.now();
        match (known, answer) {
            (Known::Erased(erasure_began), Ok((true, source))) => {
                let read = Read {
                    conversation: Conversation { place: 0, generation: 0 },
                    began,
                    ended,
                    sight: Sight::Nothing,
                    min_version: None,
                    source,
                    unchanged: false,
                };
                self.knowledge.sighted(key.id, read, erasure_began);
            }
            (Known::Live, Ok((false, source))) if self.knowledge.is_still(since) => {
                let what = format!("{} is lost, says {source:?}, and nobody erased it", key.id);
                self.knowledge.note(Record::Odd(what));
            }
            (_, Ok(_)) => {}
            (_, Err(error)) => self.knowledge.failed("read", &error),
        }
    }

    fn key(&self, id: ConversationId) -> ConversationKey {
        ConversationKey { owner: self.owner.clone(), id }
    }

    fn messages(&mut self) -> Result<Batch, Broken> {
        let count = self.rng.usize(1..4);
        let messages: Vec<_> =
            std::iter::repeat_with(|| user_as(&self.next_name(), &self.next_name())).take(count).collect();
        Ok(batch(messages).with_records(self.records()?))
    }

    fn records(&mut self) -> Result<RecordBatch, Broken> {
        let change = stored(&self.next_name(), &self.next_name(), Precondition::None)?;
        Ok(RecordBatch::new(vec![change])?)
    }

    fn next_name(&mut self) -> String {
        self.named += 1;
        // A name that ends with a letter is one of the other clients' records.
        format!("{}-{}", self.name, self.named)
    }
}
