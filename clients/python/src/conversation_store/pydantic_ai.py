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
from itertools import count
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter
from pydantic_ai import ModelMessagesTypeAdapter
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from . import operations
from ._wire import Steps, pause
from .adapters import Remembered, Store, awaiting
from .batches import PREFIX as BATCHES
from .batches import Entry
from .bulk import all_of
from .errors import Conflict, RevisionMismatch, VersionMismatch
from .history import History
from .keys import conversation_id as id_of
from .models import Change, Delete, Message, Put

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
        # The conversations of entries that were read or written; apart, of those that records name, since a long
        # history that is read is not to put these out.
        self._homes, self._heads = Remembered[str, str](_HOMES), Remembered[str, str](_HOMES)

    def _get_record(self, conversation_id: str) -> Steps[ConversationRecord | None]:
        """Returns the record of a conversation."""
        record, _ = yield from self._stored(id_of(conversation_id))
        return record

    def _get_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> Steps[Sequence[ConversationRecord]]:
        """Returns the records of a scope, or all, newest first, in a request for each that there is."""
        records = []
        # One that changes while pages are read is in a later one then.
        found = yield from all_of(operations.list_conversations(metadata=_METADATA, order="asc", limit=100))
        for id in dict.fromkeys(it.id for it in found):
            record, _ = yield from self._stored(id)
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
        done = False
        try:
            if expected_revision is None and record.forked_from is not None:
                done, copies = yield from self._fork(record, changes)
                messages = copies + messages
            elif expected_revision is None:
                yield from self._opened(id)
            if messages:
                yield from History(id).add(messages, records=changes)
            elif not done:
                yield from operations.write_records(id, changes)
        except (Conflict, RevisionMismatch) as error:
            raise ConversationConflict(record.conversation_id) from error
        self._note(record, [it.id for it in new_entries])

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
        home = self._heads.get(head_id) or self._homes.get(head_id)
        if home is None:
            raise LookupError(f"Entry {head_id} is not known here: load its conversation before.")
        found = yield from self._chain(home, head_id, limit)
        entries = [_entry(it) for it in found]
        for entry in entries:
            self._homes.put(entry.id, home)
        return entries

    def _get_entry(self, entry_id: str) -> Steps[ConversationEntry]:
        """Returns an entry that was read or written from here."""
        return (yield from self._get_history(entry_id, limit=1))[0]

    read_record, read_records = awaiting(_get_record), awaiting(_get_records)
    write_record, delete_record = awaiting(_put_record), awaiting(_drop_record)
    read_history, read_entry = awaiting(_get_history), awaiting(_get_entry)

    def _stored(self, id: str) -> Steps[tuple[ConversationRecord | None, int]]:
        """A record, and the revision that the store gave it."""
        page = yield from operations.list_records(id, key=[_KEY], values=True)
        if not page.data:
            return None, 0
        record = _RECORD.validate_json(page.data[0].text)
        self._note(record)
        return record, page.data[0].revision

    def _condition(self, conversation_id: str, expected: str | None) -> Steps[dict[str, Any]]:
        record, revision = yield from self._stored(id_of(conversation_id))
        if (record.revision if record else None) != expected:
            raise ConversationConflict(conversation_id)
        return {"if_match": revision} if record else {"if_absent": True}

    def _opened(self, id: str) -> Steps[None]:
        """Creates a conversation, or if it is there lets `_get_records` find it."""
        try:
            yield from operations.create_conversation(id=id, metadata=_METADATA)
            return
        except Conflict as error:
            if error.code != "conversation_exists":
                raise
        for attempt in count():
            there = yield from operations.get_conversation(id)
            metadata = {**there.metadata, **_METADATA}
            if metadata == there.metadata:
                return
            try:
                yield from operations.update_conversation(id, metadata=metadata, if_match=there.version)
                return
            except VersionMismatch:
                yield from pause(attempt)

    def _fork(self, record: ConversationRecord, changes: Sequence[Change]) -> Steps[tuple[bool, list[Message]]]:
        """Creates a conversation with a record, and with copies of the entries up to its head, in one commit.

        If there is one already, with other messages or after it was deleted, it returns the copies that are to be
        added.
        """
        id, origin = id_of(record.conversation_id), record.forked_from or ""
        try:
            last = (yield from self._chain(origin, record.head_id, 1))[-1] if record.head_id is not None else None
            at = last.stored["seq"] if last else 0
            more: dict[str, Any] = {"metadata": _METADATA, "records": changes, "records_prefix": BATCHES}
            try:
                yield from operations.create_conversation(id=id, fork_of=id_of(origin), at=at, **more)
                return True, []
            except Conflict as error:
                if error.code != "conversation_exists":
                    raise
            chain = (yield from self._chain(origin, record.head_id, None)) if record.head_id is not None else []
        except LookupError as error:
            raise ConversationConflict(record.conversation_id) from error
        yield from self._opened(id)
        # An id of a message that was deleted from there cannot be used again.
        return False, [{**_message(_entry(it)), "id": str(uuid4()), "entry": _id_of(it)} for it in chain]

    def _chain(self, conversation_id: str, head_id: str, limit: int | None) -> Steps[list[Entry]]:
        """The last entries of a conversation up to a head, each after its parent."""
        count = 100 if limit is None else max(limit, 10)
        while True:
            entries, _ = yield from History(id_of(conversation_id)).newest(count)
            known = {_id_of(it): it for it in entries if it.message.get("type") == _ENTRY}
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

    def _note(self, record: ConversationRecord, new: Iterable[str] = ()) -> None:
        """Remembers the conversation of entries."""
        for entry in new:
            self._homes.put(entry, record.conversation_id)
        for head in filter(None, [record.head_id, *record.branches]):
            self._heads.put(head, record.conversation_id)


def _message(entry: ConversationEntry) -> Message:
    [message] = json.loads(ModelMessagesTypeAdapter.dump_json([entry.message]))
    return {"type": _ENTRY, "id": entry.id, "parent": entry.parent_id, "message": message}


def _id_of(entry: Entry) -> str:
    """The id of an entry, which its message has as its own, or if that is a copy beside it."""
    return str(entry.message.get("entry", entry.message["id"]))


def _entry(entry: Entry) -> ConversationEntry:
    [message] = ModelMessagesTypeAdapter.validate_python([entry.message["message"]])
    return ConversationEntry(id=_id_of(entry), parent_id=entry.message["parent"], message=message)
