"""Sessions of Strands Agents in conversations. Needs the extra `conversation-store[strands]`.

    repository = ConversationStoreRepository(store)
    agent = Agent(session_manager=RepositorySessionManager("trip", repository))

    storage = ConversationStoreStorage(store, "trip", conditional=True)
    agent = Agent(session_manager=SnapshotSessionManager("trip", storage=storage))

A session of a repository is the conversation of the same id (`keys.conversation_id` says which, if that is no id). What
agents say are its messages, or in a batch of `history`; what else is known of session and agents is in records,
`strands/session`, `strands/agent/{agent}` and `strands/multi/{id}`. Those of a storage are `strands/storage/{key}`,
deflated.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

from strands.multiagent import MultiAgentBase
from strands.session import SessionRepository
from strands.storage import Storage
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import Session, SessionAgent, SessionMessage

from . import operations
from ._strands_messages import agent_of, fields_of, message_of, number_of, read_back
from ._wire import Steps, pause
from .adapters import Store, arun, blocking, merged
from .batches import Entry
from .bulk import all_of
from .client import ConversationStore
from .errors import ApiError, Conflict, RevisionMismatch, VersionMismatch
from .history import History
from .keys import conversation_id, expand, pack_short, squeeze
from .models import Record

_SESSION, _AGENT, _MULTI, _STORAGE = "strands/session", "strands/agent/", "strands/multi/", "strands/storage/"


class ConversationStoreRepository(SessionRepository):
    """Keeps sessions for a `RepositorySessionManager`. Its methods block.

    Of two agents that add the message of one number, or create one session or agent, the second gets a
    `SessionException`: it has not seen what the first one did, and has to be restored. Of state, what an agent has
    changed since it was restored is stored, and what others have changed stays: give each manager its own repository.
    """

    def __init__(self, store: ConversationStore) -> None:
        """Takes a client."""
        self.store: Store = store
        self._agents: dict[tuple[str, str], dict[str, Any]] = {}  # As they were when they were read or stored.

    def _create_session(self, /, session: Session, **kwargs: Any) -> Steps[Session]:
        """Creates a session."""
        yield from self._create(session.session_id, _SESSION, session.to_dict())
        return session

    def _read_session(self, /, session_id: str, **kwargs: Any) -> Steps[Session | None]:
        """Returns a session."""
        found = yield from self._read(session_id, _SESSION)
        return Session.from_dict(json.loads(found.text)) if found else None

    def _create_agent(self, /, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> Steps[None]:
        """Creates an agent in a session."""
        made = self._agents[session_id, session_agent.agent_id] = session_agent.to_dict()
        yield from self._create(session_id, _AGENT + pack_short(session_agent.agent_id), made)

    def _read_agent(self, /, session_id: str, agent_id: str, **kwargs: Any) -> Steps[SessionAgent | None]:
        """Returns an agent of a session."""
        found = yield from self._read(session_id, _AGENT + pack_short(agent_id))
        if found is None:
            return None
        stored = self._agents[session_id, agent_id] = json.loads(found.text)
        return SessionAgent.from_dict(stored)

    def _update_agent(self, /, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> Steps[None]:
        """Changes an agent of a session."""

        def changed(before: Any) -> Any:
            session_agent.created_at = before["created_at"]
            base, mine = self._agents.get(place, before), session_agent.to_dict()
            return merged(base, mine, before) | {"state": merged(base["state"], mine["state"], before["state"])}

        place = session_id, session_agent.agent_id
        yield from self._change(session_id, _AGENT + pack_short(session_agent.agent_id), changed)
        self._agents[place] = session_agent.to_dict()

    def _create_multi_agent(self, /, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> Steps[None]:
        """Creates the state of an orchestrator."""
        yield from self._create(session_id, _MULTI + pack_short(multi_agent.id), multi_agent.serialize_state())

    def _read_multi_agent(self, /, session_id: str, multi_agent_id: str, **kwargs: Any) -> Steps[dict[str, Any] | None]:
        """Returns the state of an orchestrator."""
        found = yield from self._read(session_id, _MULTI + pack_short(multi_agent_id))
        return json.loads(found.text) if found else None

    def _update_multi_agent(self, /, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> Steps[None]:
        """Changes the state of an orchestrator."""
        yield from self._change(
            session_id, _MULTI + pack_short(multi_agent.id), lambda _: multi_agent.serialize_state()
        )

    def _create_message(
        self, /, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any
    ) -> Steps[None]:
        """Adds the message of an agent, unless there is another one of the same number."""
        try:
            yield from History(conversation_id(session_id)).add([message_of(agent_id, session_message)])
        except Conflict as error:
            number = session_message.message_id
            raise SessionException(f"There is another message {number} of agent {agent_id}: restore it.") from error

    def _read_message(
        self, /, session_id: str, agent_id: str, message_id: int, **kwargs: Any
    ) -> Steps[SessionMessage | None]:
        """Returns a message of an agent."""
        entries, _ = yield from self._since(session_id, agent_id, message_id)
        found = [read_back(it) for it in entries if agent_of(it) == agent_id]
        return next((it for it in found if it.message_id == message_id), None)

    def _update_message(
        self, /, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any
    ) -> Steps[None]:
        """Replaces a message of an agent, with what was there of it. Messages after it stay."""
        for attempt in count():
            entries, version = yield from self._since(session_id, agent_id, session_message.message_id)
            found = [agent_of(it) == agent_id and number_of(it) == session_message.message_id for it in entries]
            if True not in found:
                raise SessionException(f"Message {session_message.message_id} does not exist")
            suffix = entries[found.index(True) :]
            session_message.created_at = fields_of(suffix[0])["created_at"]
            # Ids that were deleted cannot come back: what is stored again gets others.
            after = [{**it.message, "id": f"{it.message['id'][:95]}_{uuid4().hex}"} for it in suffix[1:]]
            changed = message_of(agent_id, session_message, uuid4().hex)
            try:
                yield from History(conversation_id(session_id)).replace(suffix, version, [changed, *after])
                return
            except VersionMismatch:
                yield from pause(attempt)

    def _list_messages(
        self, /, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> Steps[list[SessionMessage]]:
        """Returns `limit` messages of an agent from number `offset` on, or all."""
        entries, _ = yield from self._since(session_id, agent_id, offset)
        found = [read_back(it) for it in entries if agent_of(it) == agent_id]
        messages = [it for it in found if it.message_id >= offset]
        return messages if limit is None else messages[:limit]

    create_session, read_session = blocking(_create_session), blocking(_read_session)
    create_agent, read_agent, update_agent = blocking(_create_agent), blocking(_read_agent), blocking(_update_agent)
    create_message, read_message = blocking(_create_message), blocking(_read_message)
    update_message, list_messages = blocking(_update_message), blocking(_list_messages)
    create_multi_agent, read_multi_agent = blocking(_create_multi_agent), blocking(_read_multi_agent)
    update_multi_agent = blocking(_update_multi_agent)

    def _create(self, session_id: str, key: str, value: Any) -> Steps[None]:
        try:
            yield from operations.put_record(conversation_id(session_id), key, json.dumps(value), if_absent=True)
        except RevisionMismatch as error:
            raise SessionException(f"{key} of session {session_id} already exists") from error

    def _read(self, session_id: str, key: str) -> Steps[Record | None]:
        page = yield from operations.list_records(conversation_id(session_id), key=[key], values=True)
        return page.data[0] if page.data else None

    def _change(self, session_id: str, key: str, change: Callable[[Any], Any]) -> Steps[None]:
        for attempt in count():
            before = yield from self._read(session_id, key)
            if before is None:
                raise SessionException(f"{key} of session {session_id} does not exist")
            value = json.dumps(change(json.loads(before.text)))
            try:
                yield from operations.put_record(conversation_id(session_id), key, value, if_match=before.revision)
                return
            except RevisionMismatch:
                yield from pause(attempt)

    def _since(self, session_id: str, agent_id: str, number: int) -> Steps[tuple[list[Entry], int]]:
        """The newest entries, from the message of an agent with a number on, or before."""

        def reached(entries: builtins.list[Entry]) -> bool:
            own = [number_of(it) for it in entries if agent_of(it) == agent_id]
            return own[:1] != [] and own[0] <= number

        return (yield from History(conversation_id(session_id)).newest_until(reached))


class ConversationStoreStorage(Storage):
    """Keeps values for a `SnapshotSessionManager`, and whatever else takes a `Storage`, as records.

    Managers use a loop of their own for each call: give it the client that blocks. A value may have 4 MiB, deflated.
    """

    def __init__(self, store: Store, conversation: str | None = None, *, conditional: bool = False) -> None:
        """Takes a client, and the conversation whose records it uses, or else those of the owner.

        If it is `conditional`, a value that it has read or written is overwritten only if nobody else has written it
        since, otherwise a write is a `StorageError`. Give each agent a storage of its own then.
        """
        self.store = store
        self._id = None if conversation is None else conversation_id(conversation)
        self._conditional = conditional
        self._revisions: dict[str, int] = {}

    async def write(self, key: str, data: bytes) -> None:
        """Stores a value."""
        known = self._revisions.get(key) if self._conditional else None
        where: dict[str, Any] = {"if_match": known or None, "if_absent": known == 0}
        stored = await self._run(operations.put_record(self._id, _STORAGE + key, squeeze(data, b""), **where))
        self._revisions[key] = stored.revision

    async def read(self, key: str) -> bytes | None:
        """Returns a value, None if there is none."""
        page = await self._run(operations.list_records(self._id, key=[_STORAGE + key], values=True))
        self._revisions[key] = page.data[0].revision if page.data else 0
        return expand(page.data[0].value or b"", b"") if page.data else None

    async def delete(self, key: str) -> None:
        """Deletes a value, if there is one."""
        await self._run(operations.delete_record(self._id, _STORAGE + key))
        self._revisions[key] = 0

    async def list(self, query: str) -> builtins.list[str]:
        """Returns the keys that begin with a prefix, in order."""
        found = await self._run(all_of(operations.list_records(self._id, prefix=_STORAGE + query, limit=1000)))
        return sorted(it.key.removeprefix(_STORAGE) for it in found)

    async def _run(self, steps: Any) -> Any:
        try:
            return await arun(self, steps)
        except ApiError as error:
            raise StorageError(str(error)) from error
