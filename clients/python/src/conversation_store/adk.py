"""Sessions of Google's Agent Development Kit as conversations. Needs the extra `conversation-store[adk]`.

    async with AsyncConversationStore("http://127.0.0.1:9000") as store:
        runner = Runner(app_name="app", agent=agent, session_service=ConversationStoreSessionService(store))

An event is a message, or in a batch of `history`. State is in records, one for each key, with the value as JSON. Those
of the session have its own state, and those of the owner the states of apps and users:

    adk/s/{key}                  a value; of an event that changes many, `adk/s//{event}` has an object of them, and of
                                 two values of a key that of the greater revision is the state
    adk/p/{event}                what an event changes of the states of app and user, until that is done
    adk/u                        when the session was last updated
    adk/n                        the names of app, user and session, where the conversation's metadata cannot have them
    adk/app/{app}/{key}          the owner's: a value of an app
    adk/user/{app}/{user}/{key}  the owner's: a value of a user

An event, the state of its session, and a note of what it changes for app and user are one commit. That is then done in
the owner's records, or if the process dies, when the session is read; what somebody else has written meanwhile stays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event
from google.adk.sessions import BaseSessionService, Session, State
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse

from . import _adk_state, operations
from ._adk_state import ALL, NAMES, PENDING, STATE, UPDATED, conversation, jsonable, prefix, session_of, state_of
from ._wire import Steps, pause
from .adapters import Remembered, Store, arun, awaiting
from .bulk import all_of, read_many_records, write_many_records
from .errors import Conflict, NotFound, RevisionMismatch, VersionMismatch, is_no_conversation
from .history import History
from .keys import conversation_id, pack_short
from .models import Change, Delete, Put, Record

_PAGE = 100


class ConversationStoreSessionService(BaseSessionService):
    """Keeps sessions in the conversation store. Any number of processes may use a session at a time.

    An event is appended only to a session that has all events before it, otherwise `append_event` raises
    `StaleSessionError`. An event that is appended again is stored once. A deleted session's id is not used again.
    """

    def __init__(self, store: Store) -> None:
        """Takes a client; the owner that it speaks for has the states of apps and users."""
        self.store = store
        self._seen = Remembered[str, int](1000)  # The versions of sessions that others have changed.
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    def _create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> Steps[Session]:
        """Creates a session, under an id that has not been used."""
        name = (session_id or "").strip() or str(uuid4())
        names = app_name, user_id, name
        changes = yield from self._changes(app_name, user_id, "", jsonable(state or {}), time.time())
        changes += _adk_state.names_puts(*names)
        metadata = _adk_state.metadata(*names)
        try:
            yield from operations.create_conversation(id=conversation(*names), metadata=metadata, records=changes)
        except Conflict as error:
            raise AlreadyExistsError(f"Session with id {name} already exists, or did.") from error
        created = yield from self._get_session(app_name=app_name, user_id=user_id, session_id=name)
        return created or Session(id=name, app_name=app_name, user_id=user_id)

    def _get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Steps[Session | None]:
        """Returns a session with its events, or those that `config` asks for."""
        name, config = session_id.strip(), config or GetSessionConfig()
        id = conversation(app_name, user_id, name)
        # Records are read after events: if they say more, the session is stale, and can only be read again.
        events, version = yield from self._events(History(id, self._seen.get(id)), config)
        if not version:
            return None
        records = yield from read_many_records(id, prefixes=[ALL])
        yield from self._settle(id, records)
        prefixes = [prefix("app", app_name), prefix("user", app_name, user_id)]
        scoped = yield from read_many_records(None, prefixes=prefixes)
        session = session_of(app_name, user_id, name, records, scoped)
        session.events = events
        session._storage_update_marker = str(version)
        return session

    def _list_sessions(self, *, app_name: str, user_id: str | None = None) -> Steps[ListSessionsResponse]:
        """Lists sessions with their states, the longest unused first, in a request for each and a few more."""
        metadata = _adk_state.metadata(app_name, user_id)
        found = yield from all_of(operations.list_conversations(metadata=metadata, order="asc", limit=_PAGE))
        users = ["user", app_name] if user_id is None else ["user", app_name, user_id]
        scoped = yield from read_many_records(None, prefixes=[prefix("app", app_name), prefix(*users)])
        sessions = []
        for one in {it.id: it for it in found}.values():
            records = yield from read_many_records(one.id, prefixes=[STATE, UPDATED, NAMES])
            _, user, name = _adk_state.names_of(one.metadata, records)
            sessions.append(session_of(app_name, user, name, records, scoped))
            sessions[-1]._storage_update_marker = str(one.version)
        return ListSessionsResponse(sessions=sorted(sessions, key=lambda it: (it.last_update_time, it.user_id, it.id)))

    def _delete_session(self, *, app_name: str, user_id: str, session_id: str) -> Steps[None]:
        """Deletes a session with its events and its own state."""
        try:
            yield from operations.delete_conversation(conversation(app_name, user_id, session_id.strip()))
        except NotFound as error:
            if not is_no_conversation(error):
                raise

    def _get_user_state(self, *, app_name: str, user_id: str) -> Steps[dict[str, Any]]:
        """Returns the state of a user, without the prefix of its keys."""
        found = yield from read_many_records(None, prefixes=[prefix("user", app_name, user_id)])
        return state_of(prefix("user", app_name, user_id), found)

    create_session, get_session = awaiting(_create_session), awaiting(_get_session)
    list_sessions, delete_session = awaiting(_list_sessions), awaiting(_delete_session)
    get_user_state = awaiting(_get_user_state)

    async def append_event(self, session: Session, event: Event) -> Event:
        """Appends an event to a session, in one commit with the state that it changes.

        Raises `StaleSessionError` if the session has not all events that are stored.
        """
        if event.partial:
            return event
        place = id(asyncio.get_running_loop()), conversation(session.app_name, session.user_id, session.id)
        async with self._locks.setdefault(place, asyncio.Lock()):
            version = await arun(self, self._append(session, event))
            if any(it.id == event.id for it in session.events):
                return event
            session._storage_update_marker = str(version + 1)
            session.last_update_time = event.timestamp
            return await super().append_event(session, event)

    def _append(self, session: Session, event: Event) -> Steps[int]:
        """Stores an event, and returns the version that the session had before."""
        id = conversation(session.app_name, session.user_id, session.id)
        history = History(id, self._seen.get(id))
        version = int(session._storage_update_marker or 0)
        if not version:  # A session that was not read from here.
            entries, version = yield from history.newest(1)
            if version and [it.message["event"]["id"] for it in entries] != [it.id for it in session.events[-1:]]:
                raise StaleSessionError(f"Session {session.id} has other events in storage: read it again.")
        if not version:
            raise SessionNotFoundError(f"Session {session.id} not found.")
        delta = jsonable({k: v for k, v in event.actions.state_delta.items() if not k.startswith(State.TEMP_PREFIX)})
        changes = yield from self._changes(session.app_name, session.user_id, event.id, delta, event.timestamp)
        without: Any = {"actions": {"state_delta"}}
        kept = event.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=without)
        if delta:
            kept.setdefault("actions", {})["stateDelta"] = delta
        message = {"type": "adk_event", "id": conversation_id(event.id), "event": kept}
        try:
            yield from history.add([message], version=version, records=changes)
        except (Conflict, VersionMismatch) as error:
            if error.code == "conversation_deleted" or getattr(error, "version", None) == 0:
                raise SessionNotFoundError(f"Session {session.id} not found.") from error
            if isinstance(error, Conflict):
                raise
            self._seen.put(id, error.version)
            raise StaleSessionError(f"Session {session.id} was modified in storage: read it again.") from error
        if any(it.key.startswith(PENDING) for it in changes):  # Of an event that was stored before, there may be none.
            yield from self._settle(id, (yield from read_many_records(id, prefixes=[PENDING])))
        return version

    def _events(self, history: History, config: GetSessionConfig) -> Steps[tuple[list[Event], int]]:
        newest, since = config.num_recent_events, config.after_timestamp or 0.0
        if since:
            entries, version = yield from history.newest_until(
                lambda it: it[0].message["event"]["timestamp"] < since or len(it) >= (newest or len(it) + 1)
            )
        else:
            entries, version = yield from history.newest(newest)
        events = [Event.model_validate(it.message["event"]) for it in entries]
        events = [it for it in events if it.timestamp >= since]
        return events if newest is None else events[max(len(events) - newest, 0) :], version

    def _changes(self, app: str, user: str, event: str, delta: dict[str, Any], updated: float) -> Steps[list[Change]]:
        """The records that are stored with an event."""
        prefixes = {State.APP_PREFIX: prefix("app", app), State.USER_PREFIX: prefix("user", app, user)}
        own: dict[str, Any] = {}
        scoped: dict[str, Any] = {}
        for name, value in delta.items():
            scope = name[: name.find(":") + 1]
            if scope in prefixes:
                key, stored = _adk_state.keyed(prefixes[scope], name.removeprefix(scope), value)
                scoped[key] = stored
            elif scope != State.TEMP_PREFIX:
                own[name] = value
        puts = _adk_state.own_puts(event, own)
        if scoped:
            there = yield from read_many_records(None, keys=scoped, values=False)
            pending = [[key, value, there[key].revision if key in there else 0] for key, value in scoped.items()]
            puts.append(Put(PENDING + pack_short(event), _adk_state.dumped(pending)))
        return [Put(UPDATED, repr(updated)), *puts]

    def _settle(self, id: str, records: Mapping[str, Record]) -> Steps[None]:
        """Does what events change of the states of apps and users, except where somebody else has written since."""
        for key in [it for it in records if it.startswith(PENDING)]:
            left = _adk_state.loaded(records[key])
            for attempt in count():
                puts = [
                    Put(it[0], _adk_state.dumped(it[1]), if_match=it[2] or None, if_absent=not it[2]) for it in left
                ]
                try:
                    yield from write_many_records(None, puts)
                    break
                except RevisionMismatch:
                    yield from pause(attempt)
                    there = yield from read_many_records(None, keys=[it.key for it in puts], values=False)
                    left = [it for it in left if (there[it[0]].revision if it[0] in there else 0) == it[2]]
            yield from write_many_records(id, [Delete(key)])
