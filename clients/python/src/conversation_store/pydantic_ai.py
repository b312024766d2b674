"""A `ConversationStore` of Pydantic AI over conversations. Needs the extra `conversation-store[pydantic-ai]`.

    async with AsyncConversationStore("http://127.0.0.1:9000") as client:
        store = ConversationStoreBackend(client)
        conversation = await store.load("trip") or Conversation(conversation_id="trip")
        result = await agent.run("Hello!", conversation=conversation)
        await store.save(result)

A conversation is the one of the same id (`keys.conversation_id` says which, if that is no id). An entry is a message,
or in a batch of `history`, and the record is a record, `pydantic-ai`. A fork begins with copies of entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import ModelMessagesTypeAdapter
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from . import operations
from .adapters import Store, awaiting
from .bulk import all_of
from .errors import Conflict, RevisionMismatch
from .history import BATCHES, Entry, History
from .keys import conversation_id as id_of
from .keys import name_of
from .models import Change, Delete, Message, Put
from .operations import Steps

_KEY = "pydantic-ai"
_METADATA = {"pydantic_ai": "1"}
_ENTRY = "pydantic_ai_entry"
_HOMES = 10_000
_RECORD = TypeAdapter(ConversationRecord)


class ConversationStoreBackend(ConversationStore):
    """Keeps conversations of Pydantic AI in the conversation store. Any number of processes may use one at a time.

    A save is one commit, of the record and all new entries. Deleting a conversation deletes its entries, also those of
    branches that it has left; forks keep theirs. An empty conversation stays, so that its id may be used again.
    """

    def __init__(self, store: Store) -> None:
        """Takes a client."""
        self.store = store
        self._homes: dict[str, str] = {}  # The conversations of entries that were read or written.

    def _get_record(self, conversation_id: str) -> Steps[ConversationRecord | None]:
        """Returns the record of a conversation."""
        record, _ = yield from self._stored(conversation_id)
        return record

    def _get_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> Steps[Sequence[ConversationRecord]]:
        """Returns the records of a scope, or all, newest first, in a request for each that there is."""
        records = []
        for one in (yield from all_of(operations.list_conversations(metadata=_METADATA, limit=100))):
            record, _ = yield from self._stored(name_of(one.id))
            if record and (scope is None or record.scope == scope):
                records.append(record)
        return sorted(records, key=lambda it: it.updated_at, reverse=True)[:limit]

    def _put_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> Steps[None]:
        """Stores a record and new entries in one commit, if the record has the expected revision."""
        id = id_of(record.conversation_id)
        where = yield from self._condition(record.conversation_id, expected_revision)
        changes = [Put(_KEY, _RECORD.dump_json(record).decode(), "application/json", **where)]
        messages = [_message(it) for it in new_entries]
        try:
            if expected_revision is None and record.forked_from is not None:
                yield from self._fork(record, changes)
            elif expected_revision is None:
                try:
                    yield from operations.create_conversation(id=id, metadata=_METADATA)
                except Conflict as error:
                    if error.code != "conversation_exists":
                        raise
            if messages:
                yield from History(id).add(messages, records=changes)
            elif expected_revision is not None or record.forked_from is None:
                yield from operations.write_records(id, changes)
        except (Conflict, RevisionMismatch) as error:
            raise ConversationConflict(record.conversation_id) from error
        self._note(record.conversation_id, [record.head_id, *record.branches, *(it.id for it in new_entries)])

    def _drop_record(self, conversation_id: str, *, expected_revision: str) -> Steps[None]:
        """Deletes a record and all entries of its conversation in one commit, if it has the expected revision."""
        where = yield from self._condition(conversation_id, expected_revision)
        try:
            yield from History(id_of(conversation_id)).overwrite([], [Delete(_KEY, where["if_match"])])
        except RevisionMismatch as error:
            raise ConversationConflict(conversation_id) from error

    def _get_history(self, head_id: str | None, *, limit: int | None = None) -> Steps[list[ConversationEntry]]:
        """Returns the last entries up to one that was read or written from here, or is named by a record that was."""
        if head_id is None or limit == 0:
            return []
        found = yield from self._chain(self._homes[head_id], head_id, limit)
        entries = [_entry(it) for it in found]
        self._note(self._homes[head_id], [it.id for it in entries])
        return entries

    def _get_entry(self, entry_id: str) -> Steps[ConversationEntry]:
        """Returns an entry that was read or written from here."""
        return (yield from self._get_history(entry_id, limit=1))[0]

    read_record, read_records = awaiting(_get_record), awaiting(_get_records)
    write_record, delete_record = awaiting(_put_record), awaiting(_drop_record)
    read_history, read_entry = awaiting(_get_history), awaiting(_get_entry)

    def _stored(self, conversation_id: str) -> Steps[tuple[ConversationRecord | None, int]]:
        """A record, and the revision that the store gave it."""
        page = yield from operations.list_records(id_of(conversation_id), key=[_KEY], values=True)
        if not page.data:
            return None, 0
        record = _RECORD.validate_json(page.data[0].text)
        self._note(conversation_id, [record.head_id, *record.branches])
        return record, page.data[0].revision

    def _condition(self, conversation_id: str, expected: str | None) -> Steps[dict[str, Any]]:
        record, revision = yield from self._stored(conversation_id)
        if (record.revision if record else None) != expected:
            raise ConversationConflict(conversation_id)
        return {"if_match": revision} if record else {"if_absent": True}

    def _fork(self, record: ConversationRecord, changes: Sequence[Change]) -> Steps[None]:
        """Creates a conversation with a record, and with copies of the entries up to its head."""
        origin = id_of(record.forked_from or "")
        at = 0
        if record.head_id is not None:
            try:
                chain = yield from self._chain(record.forked_from or "", record.head_id, 1)
            except LookupError as error:
                raise ConversationConflict(record.conversation_id) from error
            at = chain[-1].stored["seq"]
        more: dict[str, Any] = {"metadata": _METADATA, "records": changes, "records_prefix": BATCHES}
        yield from operations.create_conversation(id=id_of(record.conversation_id), fork_of=origin, at=at, **more)

    def _chain(self, conversation_id: str, head_id: str, limit: int | None) -> Steps[list[Entry]]:
        """The last entries of a conversation up to a head, each after its parent."""
        count = 100 if limit is None else max(limit, 10)
        while True:
            entries, _ = yield from History(id_of(conversation_id)).newest(count)
            known = {it.message["id"]: it for it in entries if it.message.get("type") == _ENTRY}
            chain: list[Entry] = []
            wanted: str | None = head_id
            while wanted in known and len(chain) != limit:
                chain.append(known[wanted])
                wanted = chain[-1].message["parent"]
            if wanted is None or len(chain) == limit:
                return chain[::-1]
            if len(entries) < count:
                raise LookupError(wanted)
            count *= 4

    def _note(self, conversation_id: str, entries: Iterable[str | None]) -> None:
        """Remembers the conversation of entries."""
        self._homes |= dict.fromkeys(filter(None, entries), conversation_id)
        for entry in list(self._homes)[:-_HOMES]:
            del self._homes[entry]


def _message(entry: ConversationEntry) -> Message:
    [message] = json.loads(ModelMessagesTypeAdapter.dump_json([entry.message]))
    return {"type": _ENTRY, "id": entry.id, "parent": entry.parent_id, "message": message}


def _entry(entry: Entry) -> ConversationEntry:
    [message] = ModelMessagesTypeAdapter.validate_python([entry.message["message"]])
    return ConversationEntry(id=entry.message["id"], parent_id=entry.message["parent"], message=message)
