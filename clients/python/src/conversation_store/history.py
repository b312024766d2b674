"""Messages of a conversation, of which any number and size are one commit: for adapters.

What is too much or too large for the messages of one commit is in records, as `batches` has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from . import operations
from ._wire import Steps, pause
from .batches import PREFIX, Entry, batched, deletions, entries_of, parts_of
from .bulk import all_of, read_many_records, size_of, write_many_records
from .errors import NotFound, StoreError, VersionMismatch, is_no_conversation
from .models import AddedMessages, Change, Delete, Message, MessagePage

_PAGE = 100
_ORPHANED_SECONDS = 3600


class History:
    """Reads and writes the messages of a conversation. A read is of one version, not older than the last write."""

    def __init__(self, conversation_id: str, seen: int | None = None) -> None:
        """Takes the id of the conversation, which the first messages create, and a version that is known of it."""
        self.id = conversation_id
        self.seen = seen

    def newest(self, limit: int | None = None) -> Steps[tuple[list[Entry], int]]:
        """Reads the newest messages, oldest first, and the version that has them: 0 if there is no conversation."""
        torn: int | None = None
        for attempt in count():
            stored, version = yield from self._pages(limit)
            keys = [key for it in stored for key in parts_of(it)]
            parts = yield from read_many_records(self.id, keys=keys)
            if len(parts) == len(keys):
                entries = [entry for it in stored for entry in entries_of(it, parts)]
                return entries[max(len(entries) - limit, 0) if limit is not None else 0 :], version
            # A batch was removed after its message was read. Then the conversation has another version.
            if version == torn:
                lost = next(key for key in keys if key not in parts)
                raise StoreError(f"Conversation {self.id} lacks record {lost}, in which messages are.")
            torn = version
            yield from pause(attempt)
        raise AssertionError

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
            yield from self._write(messages, first.stored["seq"] - 1, version, deletions(gone), kept)

    def overwrite(
        self, messages: Sequence[Message], records: Sequence[Change] = (), *, version: int | None = None
    ) -> Steps[None]:
        """Replaces all messages by others, with changes of records; with a version only if it is at that."""
        found = yield from all_of(operations.list_records(self.id, prefix=PREFIX, limit=1000))
        orphaned = [Delete(it.key) for it in found if it.updated_at < time.time() - _ORPHANED_SECONDS]
        for attempt in count():
            # What is replaced has to be read only if there may be batches in it.
            entries, now = (yield from self.newest()) if found else ([], version)
            if version is not None and now != version:
                raise VersionMismatch("The conversation was changed since it was read.", version=now)
            if now == 0 and not messages:
                return
            changes = {it.key: it for it in [*orphaned, *deletions(it.stored for it in entries)]}
            try:
                yield from self._write(messages, 0, now, [*records, *changes.values()])
                return
            except VersionMismatch:
                if version is not None:
                    raise
                yield from pause(attempt)

    def _pages(self, limit: int | None) -> Steps[tuple[list[Message], int]]:
        """Reads the newest stored messages, or all, and the version that has them.

        Pages that were read stay read where the conversation changes meanwhile. Messages that were added are read at
        the end. Whether others were deleted is seen by how many there are: positions are not given out again, and a
        message does not change.
        """
        counted: int | None = None  # How many messages there were at the version of the first page, if that was asked.
        for attempt in count():
            try:
                page = yield from self._page(limit or 1 if limit is not None else _PAGE, min_version=self.seen)
                if attempt:
                    conversation = yield from operations.get_conversation(self.id, min_version=page.version)
                    counted = conversation.message_count
                    if conversation.version != page.version:
                        yield from pause(attempt)
                        continue
                stored, version, older, moved = page.data, page.version, page, False
                while older.has_more and (limit is None or len(stored) < limit):
                    size = _PAGE if limit is None else limit - len(stored)
                    older = yield from self._page(size, before=older.before, min_version=version)
                    stored = older.data + stored
                    moved = moved or older.version != version
                if not moved:
                    return stored, version
                # Of a history that was read to its beginning all messages can be counted, of others those that came.
                first = len(stored) if older.has_more else 0
                if first == 0 or counted is not None:
                    caught = yield from self._caught_up(stored, (counted or 0) - first if first else 0)
                    if caught is not None:
                        return caught
            except NotFound as error:
                if is_no_conversation(error):
                    return [], 0
                raise
            yield from pause(attempt)
        raise AssertionError

    def _caught_up(self, stored: list[Message], unread: int) -> Steps[tuple[list[Message], int] | None]:
        """Adds what was added since; None if one of the messages was deleted. So many older ones were not read."""
        for attempt in count():
            page = yield from self._page(_PAGE, after=stored[-1]["seq"])
            stored = stored + page.data
            if not page.has_more:
                conversation = yield from operations.get_conversation(self.id, min_version=page.version)
                if conversation.version == page.version:
                    return (stored, page.version) if conversation.message_count == unread + len(stored) else None
                yield from pause(min(attempt, 2))
        raise AssertionError

    def _page(self, size: int, **where: Any) -> Steps[MessagePage]:
        return (yield from operations.list_messages(self.id, limit=min(size, _PAGE), **where))

    def _write(
        self,
        messages: Sequence[Message],
        after: int | None,
        version: int | None,
        records: Sequence[Change],
        kept: Sequence[Message] = (),
    ) -> Steps[AddedMessages]:
        messages, parts = batched(messages, sum(map(size_of, records[:100])))
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
        except NotFound as error:
            # There is nothing to replace. Any other 404 is not about the conversation: nothing was stored.
            if after is None or not is_no_conversation(error):
                raise
            if not messages:
                return AddedMessages(self.id, 0, [])
            return (yield from self._write(messages, None, 0, ()))
        self.seen = max(self.seen or 0, added.version)
        yield from write_many_records(self.id, records[100:])
        return added
