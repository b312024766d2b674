"""A session of the OpenAI Agents SDK over a conversation. Needs the extra `conversation-store[agents]`.

    async with AsyncConversationStore("http://127.0.0.1:9000") as store:
        session = ConversationStoreSession("trip", store)
        result = await Runner.run(agent, "Hello!", session=session)

A session is the conversation of the same id (`keys.conversation_id` says which, if that is no id), an item one of its
messages, as `_agents_items` has it, or in a batch of `history`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from agents.items import TResponseInputItem
from agents.memory import SessionSettings
from agents.memory.session_settings import resolve_session_limit

from ._agents_items import item_of, messages_of
from ._wire import Steps, pause
from .adapters import Store, arun, awaiting
from .errors import VersionMismatch
from .history import History
from .keys import conversation_id


class ConversationStoreSession:
    """Keeps the history of an agent in the conversation store. Any number of processes may use it at a time.

    Each method is one commit. What is added follows what others have added meanwhile. A run in a `turn` is one commit
    as a whole, which is done only if nobody has changed the session since the run has read it.
    """

    def __init__(self, session_id: str, store: Store, *, session_settings: SessionSettings | None = None) -> None:
        """Takes the id of the session, a client, and for example a limit for what is read."""
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings or SessionSettings()
        self.store = store
        self._history = History(conversation_id(session_id))
        self._read: deque[int] = deque(maxlen=2)  # The versions of the last reads.
        self._fed: int | None = None  # The version of the read that feeds a compaction.

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Gives a session for one run, whose changes are stored in one commit after the run has succeeded.

        Raises `VersionMismatch` if somebody else has changed the session since the run has read it. Nothing is stored
        then: run it again, in another turn.
        """
        turn = Turn(self)
        yield turn
        await arun(self, turn._commit())

    def _get_items(self, limit: int | None = None) -> Steps[list[TResponseInputItem]]:
        """Returns the newest `limit` items, or all, oldest first."""
        most = resolve_session_limit(limit, self.session_settings)
        if most is not None and most <= 0:
            return []
        entries, version = yield from self._history.newest(most)
        self._read.append(version)
        return [item_of(it) for it in entries]

    def _add_items(self, items: list[TResponseInputItem]) -> Steps[None]:
        """Adds items, however many, in one commit."""
        if items:
            yield from self._history.add(messages_of(items))

    def _pop_item(self) -> Steps[TResponseInputItem | None]:
        """Removes the newest item and returns it: nobody else gets the same."""
        for attempt in count():
            entries, version = yield from self._history.newest(1)
            try:
                yield from self._history.replace(entries, version, [])
            except VersionMismatch:
                yield from pause(attempt)
                continue
            return item_of(entries[0]) if entries else None
        raise AssertionError

    def _clear_session(self) -> Steps[None]:
        """Removes all items in one commit. The session goes on under its id."""
        yield from self._history.overwrite([])

    get_items, add_items = awaiting(_get_items), awaiting(_add_items)
    pop_item, clear_session = awaiting(_pop_item), awaiting(_clear_session)

    # What `OpenAIResponsesCompactionSession` looks for in a session that it compacts: a replacement in one commit, in
    # place of a clearing and an addition, which is not done if what it replaces has changed. It first reads what it
    # compacts, by `_read_compaction_items`, which it asks each time, while it keeps what `get_items` returns. Having
    # compacted that, it reads the session again, to restore it if need be, and replaces all of it.

    async def _read_compaction_items(
        self, limit: int | None, *, wrapper: Any = None
    ) -> tuple[list[TResponseInputItem], bool]:
        items = await self.get_items(limit)
        self._fed = self._read[-1] if self._read else None
        return items, limit is not None and len(items) < limit

    async def _atomic_replace_items(self, items: list[TResponseInputItem]) -> bool:
        # An `EncryptedSession` reads by `get_items`: then what it compacts is of the read before the last one.
        version = self._fed if self._fed is not None else self._read[0] if self._read else None
        self._fed = None
        await arun(self, self._history.overwrite(messages_of(items), version=version))
        return True

    async def _get_compaction_snapshot(
        self, limit: int, *, prune_prefix: Callable[[TResponseInputItem], bool] | None = None
    ) -> Any:
        # What `prune_prefix` says is expired stays: no commit can replace the end and delete from the beginning.
        from agents.memory.session import _CompactionSnapshot

        entries, version = await arun(self, self._history.newest(limit + 1))
        complete, entries = len(entries) <= limit, entries[-limit:]

        async def replace_suffix(start: int, output: list[TResponseInputItem]) -> bool:
            try:
                await arun(self, self._history.replace(entries[start:], version, messages_of(output)))
            except VersionMismatch:
                return False
            return start < len(entries)

        return _CompactionSnapshot([item_of(it) for it in entries], complete, replace_suffix)


class Turn:
    """A session for one run: it has the history of another session, and keeps changes until the run has succeeded."""

    def __init__(self, session: ConversationStoreSession) -> None:
        """Takes the session whose history it has."""
        self.session_id = session.session_id
        self.session_settings = session.session_settings
        self._session = session
        self._version: int | None = None
        self._dropped: int | None = 0  # How many of the stored items are, from the newest; None if all are.
        self._added: list[TResponseInputItem] = []

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Returns the newest `limit` items, or all, oldest first."""
        most = resolve_session_limit(limit, self.session_settings)
        if most is not None and most <= 0:
            return []
        items = await self._read(None if most is None else max(most - len(self._added), 0)) + self._added
        return items[-(most or len(items)) :]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds items."""
        self._added += items

    async def pop_item(self) -> TResponseInputItem | None:
        """Removes the newest item and returns it."""
        if self._added:
            return self._added.pop()
        stored = await self._read(1)
        if stored and self._dropped is not None:
            self._dropped += 1
        return stored[-1] if stored else None

    async def clear_session(self) -> None:
        """Removes all items."""
        await self._read(0)
        self._added, self._dropped = [], None

    async def _read(self, limit: int | None) -> list[TResponseInputItem]:
        """The newest stored items that are not dropped."""
        if self._dropped is None:
            return []
        wanted = None if limit is None else limit + self._dropped
        entries, version = await arun(self._session, self._session._history.newest(wanted))
        self._version = version if self._version is None else self._version
        return [item_of(it) for it in entries[: max(len(entries) - self._dropped, 0)]]

    def _commit(self) -> Steps[None]:
        history, messages = self._session._history, messages_of(self._added)
        if self._dropped == 0:
            if messages:
                yield from history.add(messages, version=self._version)
            return
        entries, version = yield from history.newest(self._dropped)
        if version != self._version:
            raise VersionMismatch("The session was changed since it was read.", version=version)
        if entries:
            yield from history.replace(entries, version, messages)
        elif messages:
            yield from history.add(messages, version=version)
