"""Messages of a conversation, of which any number and size are one commit: for adapters.

What is too much or too large for the messages of one commit is stored before it, in records `batch/{digest}/{part}`.
The commit then adds one message of type `record_batch` in its place: nobody sees a part of it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import operations
from .bulk import all_of, read_many_records, write_many_records
from .errors import NotFound, VersionMismatch
from .keys import expand, squeeze
from .models import AddedMessages, Change, Delete, Message, Put, Record
from .operations import Steps

BATCHES = "batch/"
"""What the keys of the records of batches begin with."""

_TYPE = "record_batch"
_PAGE = 100
_MESSAGES = 99  # One less than a commit may have: what is left of a batch may come before them.
_MESSAGE_BYTES, _COMMIT_BYTES, _PART_BYTES = 250_000, 2_900_000, 500_000
_ORPHANED_SECONDS = 3600


@dataclass(frozen=True)
class Entry:
    """A message, the stored message that it is, or is in, and its place in that."""

    message: Message
    stored: Message
    place: int = 0


class History:
    """Reads and writes the messages of a conversation. A read is of one version, not older than the last write."""

    def __init__(self, conversation_id: str, seen: int | None = None) -> None:
        """Takes the id of the conversation, which the first messages create, and a version that is known of it."""
        self.id = conversation_id
        self.seen = seen

    def newest(self, limit: int | None = None) -> Steps[tuple[list[Entry], int]]:
        """Reads the newest messages, oldest first, and the version that has them: 0 if there is no conversation."""
        while True:
            stored, version = yield from self._pages(limit)
            keys = [key for it in stored for key in _parts_of(it)]
            parts = yield from read_many_records(self.id, keys=keys)
            if len(parts) == len(keys):  # Otherwise a batch was removed after its message was read.
                entries = [entry for it in stored for entry in _entries(it, parts)]
                return entries[max(len(entries) - limit, 0) if limit is not None else 0 :], version

    def newest_until(self, enough: Callable[[list[Entry]], bool]) -> Steps[tuple[list[Entry], int]]:
        """Reads so many of the newest messages that they are enough, or all."""
        limit = _PAGE
        while True:
            entries, version = yield from self.newest(limit)
            if len(entries) < limit or enough(entries):
                return entries, version
            limit *= 4

    def add(
        self, messages: Sequence[Message], *, version: int | None = None, records: Sequence[Change] = ()
    ) -> Steps[AddedMessages]:
        """Adds messages, which have ids of their own, if the conversation is at a version; 0 if it is not there."""
        return (yield from self._write(messages, None, version, records))

    def replace(self, suffix: Sequence[Entry], version: int, messages: Sequence[Message]) -> Steps[None]:
        """Replaces the newest entries by messages, if the conversation is at a version."""
        if suffix:
            first = suffix[0]
            kept = [{**first.stored, "count": first.place}] if first.place else []
            gone = [it.stored for it in suffix if not it.place]
            yield from self._write(messages, first.stored["seq"] - 1, version, _deletions(gone), kept)

    def overwrite(self, messages: Sequence[Message], records: Sequence[Change] = ()) -> Steps[None]:
        """Replaces all messages by others, with changes of records."""
        found = yield from all_of(operations.list_records(self.id, prefix=BATCHES, limit=1000))
        orphaned = [Delete(it.key) for it in found if it.updated_at < time.time() - _ORPHANED_SECONDS]
        while True:
            # What is replaced has to be read only if there may be batches in it.
            entries, version = (yield from self.newest()) if found else ([], None)
            changes = {it.key: it for it in [*orphaned, *_deletions(it.stored for it in entries)]}
            try:
                yield from self._write(messages, 0, version, [*records, *changes.values()])
                return
            except VersionMismatch:
                continue

    def _pages(self, limit: int | None) -> Steps[tuple[list[Message], int]]:
        stored: list[Message] = []
        before: int | None = None
        version = 0
        while True:
            size = _PAGE if limit is None else min(max(limit - len(stored), 1), _PAGE)
            try:
                page = yield from operations.list_messages(self.id, limit=size, before=before, min_version=self.seen)
            except NotFound:
                return [], 0
            if before and page.version != version:  # Pages of two versions are no history: begin again.
                stored, before = [], None
                continue
            stored, before, version = page.data + stored, page.before, page.version
            if not page.has_more or (limit is not None and len(stored) >= limit):
                return stored, version

    def _write(
        self,
        messages: Sequence[Message],
        after: int | None,
        version: int | None,
        records: Sequence[Change],
        kept: Sequence[Message] = (),
    ) -> Steps[AddedMessages]:
        messages, parts = _batched(messages)
        new = {it.key for it in parts}
        records = [it for it in records if it.key not in new]
        where: dict[str, Any] = {"if_match": version} if version else {"if_absent": True} if version == 0 else {}
        if parts and version == 0:  # Otherwise the first record would create the conversation.
            where = {"if_match": (yield from operations.create_conversation(id=self.id, if_absent=True)).version}
        yield from write_many_records(self.id, parts)
        try:
            if after is None or version == 0:
                added = yield from operations.add_messages(self.id, messages, records=records[:100], **where)
            else:
                now = {"records": records[:100], **where}
                added = yield from operations.replace_messages(self.id, [*kept, *messages], after=after, **now)
        except VersionMismatch as error:
            self.seen = max(self.seen or 0, error.version)
            raise
        except NotFound:
            if after is None or not messages:
                return AddedMessages(self.id, 0, [], [])
            return (yield from self._write(messages, None, None, ()))
        self.seen = max(self.seen or 0, added.version)
        yield from write_many_records(self.id, records[100:])
        return added


def _batched(messages: Sequence[Message]) -> tuple[Sequence[Message], list[Put]]:
    """The messages, or one in their place and the records that have them."""
    encoded = [json.dumps(it, allow_nan=False) for it in messages]
    sizes = [len(json.dumps(it)) for it in encoded]  # As JSON strings, which is how Lambda counts.
    if len(messages) <= _MESSAGES and max(sizes, default=0) <= _MESSAGE_BYTES and sum(sizes) <= _COMMIT_BYTES:
        return messages, []
    parts: list[list[str]] = []
    room = 0
    for text in encoded:
        if not parts or len(text) > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(text)
        room -= len(text)
    digest = hashlib.sha256("".join(encoded).encode()).hexdigest()[:32]
    batch = {"type": _TYPE, "id": messages[0]["id"], "digest": digest, "count": len(messages), "parts": len(parts)}
    values = [squeeze(f"[{','.join(part)}]".encode(), b"") for part in parts]
    return [batch], [Put(key, value) for key, value in zip(_parts_of(batch), values, strict=True)]


def _parts_of(stored: Message) -> list[str]:
    """The keys of the records that a stored message stands for."""
    if stored.get("type") != _TYPE:
        return []
    return [f"{BATCHES}{stored['digest']}/{part:04}" for part in range(stored["parts"])]


def _entries(stored: Message, parts: Mapping[str, Record]) -> list[Entry]:
    if stored.get("type") != _TYPE:
        return [Entry(stored, stored)]
    messages = [it for key in _parts_of(stored) for it in json.loads(expand(parts[key].value or b"", b""))]
    return [Entry(message, stored, place) for place, message in enumerate(messages[: stored["count"]])]


def _deletions(stored: Iterable[Message]) -> list[Change]:
    return [Delete(key) for it in stored for key in _parts_of(it)]
