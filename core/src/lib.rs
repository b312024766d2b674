//! A conversation store for chat and assistant applications. Every message goes to Postgres, all of them, for good, and
//! to Redis, the last 100 of each conversation. Recent messages and what is known of a conversation are read from Redis
//! first; a miss falls back to Postgres and warms the cache. Lists come from Postgres alone. Deleting clears both.
//!
//! This crate knows neither HTTP nor Lambda.
//!
//! # The life of an add
//!
//! 1. [`Batch`] checks the messages; nothing that breaks a rule comes further.
//! 2. *begin* sets an intent in Redis: until it falls, readers go to Postgres. It answers the epoch that the cache knows.
//! 3. *commit* calls one function in Postgres, which locks the conversation's row, refuses if the row has another epoch,
//!    looks for messages stored before, and gives the new ones their positions.
//! 4. *publish* brings them into Redis and takes the intent away. Then the caller is answered.
//!
//! # The life of a read
//!
//! 1. *look* fetches the entry, the window and, where the server says it, its replication id in one round trip. A
//!    current validity marker, no intent and a whole window are a hit.
//! 2. Anything else is a [`Miss`] with a reason. *lease* makes one of many readers the one who fills.
//! 3. Postgres is read, taking a new epoch, so that no commit under an older one can follow unseen.
//! 4. *fill* warms the cache with what was read and validates it.
//!
//! # Guarantees
//!
//! 1. Always: a read returns an exact, gap-free window that Postgres once had.
//!    `chaos::reads_are_as_fresh_as_postgres_whatever_goes_wrong`,
//!    `crowd::a_crowd_on_one_conversation_loses_nothing_and_reads_nothing_stale`
//! 2. With `min_version`: you see your writes and never go back, whatever happens to the cache.
//!    `http::tickets_are_honoured`, `cache::a_stale_copy_disproved_by_a_ticket_is_replaced`, and the same run of `chaos`
//! 3. A read that starts after an add, update or delete was acknowledged, or was seen by any completed read, sees it:
//!    across writer death, Redis loss, failover, eviction, late commands and any clock, as long as no isolated old
//!    primary serves readers. The same run of `chaos`;
//!    `crash::a_process_may_die_at_every_request_and_every_request_may_be_lost_or_late`,
//!    `cluster::reads_stay_fresh_while_slots_move_under_load`,
//!    `cluster::reads_stay_fresh_while_replicas_take_over_under_load`; and every search of `make model`
//! 4. A write made while Redis was unreachable, or refused the update, is visible within the sweep period after Redis
//!    returns, or at the next write to the conversation. `changes::the_sweep_drains_pending_invalidations_when_redis_is_back`
//! 5. Of writes that depend on one version ([`Precondition`]) one is done; a retry of it is answered as the first try was.
//!    `conditional::of_writers_that_have_read_the_same_version_one_wins`, the same run of `chaos`, and `make model`
//!
//! The tests are those of `tests/it`. That the protocol holds in every order of events, and not only in those that tests
//! come by, is what `make model` searches; that the scripts do what was searched,
//! `lua::the_scripts_do_what_the_model_does` shows.
//!
//! # Order
//!
//! Messages are numbered from 1 without gaps, under the lock of their conversation's row. Order is that number, never a
//! time.

mod cache;
mod clock;
mod config;
mod connect;
mod database;
mod iam;
mod jitter;
mod meter;
mod store;
mod types;

pub use cache::UNIDENTIFIED_VALIDITY;
pub use clock::Clock;
pub use config::{
    CacheConfig, ConfigError, DatabaseConfig, IdentityConfig, LogConfig, MetricsMode, Sharding,
    TelemetryConfig, connections_needed, is_on_lambda,
};
pub use connect::{conversation_index, migrate, store};
pub use database::Migrated;
pub use meter::{CallStats, StoreStats, metered};
pub use store::{
    Audit, BulkDeletion, Check, ConversationIndex, ConversationStore, Export, ExportPage, Imported,
    ProbeError, Probed, Swept,
};
pub use types::conversation::{
    Conversation, ConversationFields, ConversationId, ConversationKey, ExpiresAfter, HashedId, ID_CHARS,
    Kind, METADATA_KEY_CHARS, METADATA_PAIRS, METADATA_VALUE_CHARS, Metadata, OWNER_CHARS, OwnerId,
    TITLE_CHARS, Title,
};
pub use types::erasure::{ERASURE_SETTLES, Erasure, OwnerHash, OwnerStats};
pub use types::error::{CacheError, Error, Invalid, Problem};
pub use types::idempotency::{IDEMPOTENCY_KEY_CHARS, IdempotencyKey};
pub use types::inspection::{
    EntryState, Inspection, IntentState, LargestOwners, NextRead, OwnerSize, RowState,
};
pub use types::json::{JsonFields, JsonText, nests_deeper, whole_number};
pub use types::message::{
    BATCH, Batch, Compare, MESSAGE_BYTES, MESSAGE_DEPTH, Message, MessageId, NewMessage, Role,
    difference_of_messages, join,
};
pub use types::page::{
    Anchor, Archived, ConversationFilter, Cursor, Direction, Limit, MessageAtVersion, MessagePage, Order,
    Page, Range,
};
pub use types::precondition::Precondition;
pub use types::read::{Listing, Miss, Read, Source};
pub use types::record::{
    ContentType, DeletedRecords, RECORD_BATCH, RECORD_BYTES, RECORD_DELETION, RECORD_KEY_BYTES, Record,
    RecordBatch, RecordChange, RecordDeletion, RecordKey, RecordLimit, RecordOutcome, RecordQuery,
    RecordScope, RecordValue, WrittenRecord,
};
pub use types::retention::Retention;
pub use types::snapshot::WINDOW;
pub use types::transfer::{
    ExportCursor, Exported, ExportedConversation, ExportedMessage, ExportedOwner, ExportedRecord,
    ImportSource, LineError, Scope, read_line, write_line,
};
pub use types::write::{Added, CacheUpdate, Change, Changed, Fork, NewConversation, Replaced};
