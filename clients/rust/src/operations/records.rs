//! Records: store, read, delete, several at once.

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};

use super::list_records::{ListRecords, records};
use super::setters::{conditional, creating, keyed, repeatable, upserting};
use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Problem};
use crate::models::condition::{Condition, Key, Match};
use crate::models::record::{Change, Content, Record, RecordDeletion, Scope, StoredRecord, Written};
use crate::operation::{ConditionalRead, Operation};
use crate::request::{Request, fits_path, key};
use crate::response::Response;

/// [`Client::put_record`].
#[derive(Debug)]
pub struct PutRecord {
    scope: Scope,
    key: String,
    content: Content,
    content_type: Option<String>,
    condition: Option<Condition>,
    idempotency: Key,
}

/// [`Client::get_record`].
#[derive(Clone, Debug)]
pub struct GetRecord {
    scope: Scope,
    key: String,
}

/// [`Client::delete_record`].
#[derive(Debug)]
pub struct DeleteRecord {
    scope: Scope,
    key: String,
    condition: Option<Condition>,
    idempotency: Key,
}

/// [`Client::delete_records`].
#[derive(Debug)]
pub struct DeleteRecords {
    scope: Scope,
    prefix: String,
    idempotency: Key,
}

/// [`Client::write_records`].
#[derive(Debug, Serialize)]
pub struct WriteRecords {
    #[serde(skip)]
    scope: Scope,
    records: Vec<Change>,
    #[serde(skip)]
    idempotency: Key,
}

upserting!(PutRecord);
keyed!(PutRecord);
repeatable!(PutRecord);
conditional!(DeleteRecord);
keyed!(DeleteRecord);
repeatable!(DeleteRecord);
keyed!(DeleteRecords);
repeatable!(DeleteRecords);
keyed!(WriteRecords);
repeatable!(WriteRecords);

impl Client {
    /// Stores up to 4 MiB under a key of a conversation, which is created if it is new, or of the owner.
    ///
    /// ```no_run
    /// # async fn example(store: conversation_client::Client) -> Result<(), conversation_client::Error> {
    /// use conversation_client::Scope;
    ///
    /// let stored = store.put_record("trip", "agent/state", "step 1").await?;
    /// store.put_record("trip", "agent/state", "step 2").if_match(stored.revision).await?;
    /// store.put_record(Scope::Owner, "settings", r#"{"theme":"dark"}"#).content_type("application/json").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_record(
        &self,
        scope: impl Into<Scope>,
        key: impl Into<String>,
        content: impl Into<Content>,
    ) -> Call<PutRecord> {
        self.call(PutRecord {
            scope: scope.into(),
            key: key.into(),
            content: content.into(),
            content_type: None,
            condition: None,
            idempotency: Key::New,
        })
    }

    /// Reads a record.
    pub fn get_record(&self, scope: impl Into<Scope>, key: impl Into<String>) -> Call<GetRecord> {
        self.call(GetRecord { scope: scope.into(), key: key.into() })
    }

    /// Deletes a record; one that is not there is none of `deleted`.
    pub fn delete_record(&self, scope: impl Into<Scope>, key: impl Into<String>) -> Call<DeleteRecord> {
        let (condition, idempotency) = (None, Key::New);
        self.call(DeleteRecord { scope: scope.into(), key: key.into(), condition, idempotency })
    }

    /// Deletes up to 100,000 records whose keys begin with a prefix, or 32 MiB of them, in one commit. If the answer has `has_more`, there
    /// are more: call it again.
    pub fn delete_records(&self, scope: impl Into<Scope>, prefix: impl Into<String>) -> Call<DeleteRecords> {
        self.call(DeleteRecords { scope: scope.into(), prefix: prefix.into(), idempotency: Key::New })
    }

    /// Stores and deletes up to 100 records, all or none.
    pub fn write_records(
        &self,
        scope: impl Into<Scope>,
        changes: impl IntoIterator<Item = Change>,
    ) -> Call<WriteRecords> {
        let records = changes.into_iter().collect();
        self.call(WriteRecords { scope: scope.into(), records, idempotency: Key::New })
    }
}

impl Call<PutRecord> {
    /// Sets the content type.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.operation.content_type = Some(content_type.into());
        self
    }
}

impl PutRecord {
    /// The same as a batch, for a key that does not fit into a path.
    fn batch(&self) -> WriteRecords {
        let (key, content_type) = (self.key.clone(), self.content_type.clone());
        let content = Some(self.content.clone());
        let change = Change { key, content, content_type, condition: self.condition };
        WriteRecords::one(self.scope.clone(), change, self.idempotency.clone())
    }

    fn header(&self) -> Result<HeaderValue, Error> {
        let usual = match self.content {
            Content::Text(_) => "text/plain; charset=utf-8",
            Content::Bytes(_) => "application/octet-stream",
        };
        let kind = HeaderValue::from_str(self.content_type.as_deref().unwrap_or(usual));
        kind.map_err(|_| Error::Invalid("the content type is not a valid header value".into()))
    }
}

impl Operation for PutRecord {
    type Output = StoredRecord;

    fn request(&self) -> Result<Request, Error> {
        if !fits_path(&self.key) {
            return self.batch().request();
        }
        let value = match &self.content {
            Content::Text(text) => text.clone().into(),
            Content::Bytes(bytes) => bytes.clone(),
        };
        let request = Request::new(Method::PUT, record(&self.scope, &self.key)?);
        Condition::add(self.condition, self.idempotency.add(request.body(self.header()?, value))?)
    }

    fn read(&self, response: &Response) -> Result<StoredRecord, Error> {
        if fits_path(&self.key) {
            return response.json().map_err(Error::unexpected);
        }
        match only(response)? {
            Written::Stored(record) => Ok(record),
            Written::Deleted(_) => Err(Error::unexpected("a deletion")),
        }
    }
}

impl GetRecord {
    /// The same as a list, for a key that does not fit into a path.
    fn list(&self) -> ListRecords {
        ListRecords::one(self.scope.clone(), self.key.clone())
    }
}

impl Operation for GetRecord {
    type Output = Record;

    fn request(&self) -> Result<Request, Error> {
        if !fits_path(&self.key) {
            return self.list().request();
        }
        Ok(Request::new(Method::GET, record(&self.scope, &self.key)?))
    }

    fn read(&self, response: &Response) -> Result<Record, Error> {
        if !fits_path(&self.key) {
            let found = self.list().read(response)?.data.into_iter().next();
            return found.ok_or_else(|| Error::NotFound(Box::new(no_record(response))));
        }
        let content_type = response.header(CONTENT_TYPE.as_str()).unwrap_or("application/octet-stream");
        Ok(Record {
            key: self.key.clone(),
            revision: response.etag().ok_or_else(|| Error::unexpected("no ETag"))?,
            size: response.body.len() as u64,
            content_type: content_type.to_owned(),
            updated_at: None,
            value: Some(response.body.clone()),
        })
    }
}

impl ConditionalRead for GetRecord {
    /// A list compares nothing.
    fn version_of(&self, record: &Record) -> Option<u64> {
        Some(record.revision)
    }
}

impl Operation for DeleteRecord {
    type Output = RecordDeletion;

    fn request(&self) -> Result<Request, Error> {
        if !fits_path(&self.key) {
            let change = Change { condition: self.condition, ..Change::delete(&self.key) };
            return WriteRecords::one(self.scope.clone(), change, self.idempotency.clone()).request();
        }
        let request = Request::new(Method::DELETE, record(&self.scope, &self.key)?);
        Condition::add(self.condition, self.idempotency.add(request)?)
    }

    fn read(&self, response: &Response) -> Result<RecordDeletion, Error> {
        if fits_path(&self.key) {
            return response.json().map_err(Error::unexpected);
        }
        match only(response)? {
            Written::Deleted(deletion) => Ok(deletion),
            Written::Stored(_) => Err(Error::unexpected("a record")),
        }
    }
}

impl Operation for DeleteRecords {
    type Output = RecordDeletion;

    fn request(&self) -> Result<Request, Error> {
        let request = Request::new(Method::DELETE, records(&self.scope)?);
        self.idempotency.add(request.query("prefix", &self.prefix))
    }

    fn read(&self, response: &Response) -> Result<RecordDeletion, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl WriteRecords {
    fn one(scope: Scope, change: Change, idempotency: Key) -> Self {
        Self { scope, records: vec![change], idempotency }
    }
}

impl Operation for WriteRecords {
    type Output = Vec<Written>;

    fn request(&self) -> Result<Request, Error> {
        self.idempotency.add(Request::new(Method::POST, records(&self.scope)?).json(self)?)
    }

    fn read(&self, response: &Response) -> Result<Vec<Written>, Error> {
        written(response)
    }
}

/// What a batch answers.
#[derive(Deserialize)]
struct Batch {
    data: Vec<Written>,
}

fn written(response: &Response) -> Result<Vec<Written>, Error> {
    response.json().map(|batch: Batch| batch.data).map_err(Error::unexpected)
}

/// What was done of the only change of a batch.
fn only(response: &Response) -> Result<Written, Error> {
    written(response)?.pop().ok_or_else(|| Error::unexpected("an empty list"))
}

/// The path of a record whose key fits into one.
fn record(scope: &Scope, id: &str) -> Result<String, Error> {
    Ok(format!("{}/{}", records(scope)?, key(id)))
}

/// What the API answers where a path names a record that is not there.
fn no_record(response: &Response) -> Problem {
    Problem {
        status: 404,
        code: "record_not_found".into(),
        param: Some("key".into()),
        message: "There is no such record.".into(),
        request_id: response.header("x-request-id").map(str::to_owned),
    }
}
