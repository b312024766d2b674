"""Sessions of Google's Agent Development Kit as conversations. Needs the extra `conversation-store[adk]`.

    async with AsyncConversationStore("http://127.0.0.1:9000") as store:
        runner = Runner(app_name="app", agent=agent, session_service=ConversationStoreSessionService(store))

An event is a message, or in a batch of `history`. State is in records, one for each key, with the value as JSON. Those
of the session have its own state, and those of the owner the states of apps and users:

    adk/s/{key}                  a value; of an event that changes many, `adk/s//{event}` has an object of them, and of
                                 two values of a key that of the greater revision is the state
    adk/p/{event}                what an event changes of the states of app and user, until that is done
    adk/u                        when the session was last updated
    adk/app/{app}/{key}          the owner's: a value of an app
    adk/user/{app}/{user}/{key}  the owner's: a value of a user

An event, the state of its session, and a note of what it changes for app and user are one commit. That is then done in
the owner's records, or if the process dies, when the session is read; what somebody else has written meanwhile stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event
from google.adk.sessions import BaseSessionService, Session, State
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse
from pydantic_core import to_jsonable_python

from . import operations
from .adapters import Store, arun, awaiting
from .bulk import all_of, read_many_records
from .errors import Conflict, NotFound, RevisionMismatch, VersionMismatch
from .history import History
from .keys import conversation_id, pack, unpack
from .models import Change, Delete, Put, Record
from .operations import Steps

_STATE, _PENDING, _UPDATED, _KEYS, _PAGE = "adk/s/", "adk/p/", "adk/u", 90, 100


class ConversationStoreSessionService(BaseSessionService):
    """Keeps sessions in the conversation store. Any number of processes may use a session at a time.

    An event is appended only to a session that has all events before it, otherwise `append_event` raises
    `StaleSessionError`. An event that is appended again is stored once. A deleted session's id is not used again.
    """

    def __init__(self, store: Store) -> None:
        """Takes a client; the owner that it speaks for has the states of apps and users."""
        self.store = store
        self._seen: dict[str, int] = {}
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    def _create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> Steps[Session]:
        """Creates a session, under an id that has not been used."""
        name = (session_id or "").strip() or str(uuid4())
        metadata = {"adk_app": app_name, "adk_user": user_id, "adk_session": name}
        id = _conversation(app_name, user_id, name)
        changes = yield from self._changes(app_name, user_id, "", _jsonable(state or {}), time.time())
        try:
            yield from operations.create_conversation(id=id, metadata=metadata, records=changes)
        except Conflict as error:
            raise AlreadyExistsError(f"Session with id {name} already exists, or did.") from error
        created = yield from self._get_session(app_name=app_name, user_id=user_id, session_id=name)
        return created or Session(id=name, app_name=app_name, user_id=user_id)

    def _get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Steps[Session | None]:
        """Returns a session with its events, or those that `config` asks for."""
        name, config = session_id.strip(), config or GetSessionConfig()
        id = _conversation(app_name, user_id, name)
        # Records are read after events: if they say more, the session is stale, and can only be read again.
        events, version = yield from self._events(History(id, self._seen.get(id)), config)
        if not version:
            return None
        records = yield from read_many_records(id, prefixes=["adk/"])
        yield from self._settle(id, records)
        scoped = yield from read_many_records(
            None, prefixes=[_prefix("app", app_name), _prefix("user", app_name, user_id)]
        )
        session = _session(app_name, user_id, name, records, scoped)
        session.events = events
        session._storage_update_marker = str(version)
        return session

    def _list_sessions(self, *, app_name: str, user_id: str | None = None) -> Steps[ListSessionsResponse]:
        """Lists sessions with their states, the longest unused first, in a request for each and a few more."""
        metadata = {"adk_app": app_name} | ({} if user_id is None else {"adk_user": user_id})
        found = yield from all_of(operations.list_conversations(metadata=metadata, order="asc", limit=_PAGE))
        users = ["user", app_name] if user_id is None else ["user", app_name, user_id]
        scoped = yield from read_many_records(None, prefixes=[_prefix("app", app_name), _prefix(*users)])
        sessions = []
        for one in {it.id: it for it in found}.values():
            records = yield from read_many_records(one.id, prefixes=[_STATE, _UPDATED])
            sessions.append(_session(app_name, one.metadata["adk_user"], one.metadata["adk_session"], records, scoped))
            sessions[-1]._storage_update_marker = str(one.version)
        return ListSessionsResponse(sessions=sorted(sessions, key=lambda it: (it.last_update_time, it.user_id, it.id)))

    def _delete_session(self, *, app_name: str, user_id: str, session_id: str) -> Steps[None]:
        """Deletes a session with its events and its own state."""
        with suppress(NotFound):
            yield from operations.delete_conversation(_conversation(app_name, user_id, session_id.strip()))

    def _get_user_state(self, *, app_name: str, user_id: str) -> Steps[dict[str, Any]]:
        """Returns the state of a user, without the prefix of its keys."""
        found = yield from read_many_records(None, prefixes=[_prefix("user", app_name, user_id)])
        return _state(_prefix("user", app_name, user_id), found)

    create_session, get_session = awaiting(_create_session), awaiting(_get_session)
    list_sessions, delete_session = awaiting(_list_sessions), awaiting(_delete_session)
    get_user_state = awaiting(_get_user_state)

    async def append_event(self, session: Session, event: Event) -> Event:
        """Appends an event to a session, in one commit with the state that it changes.

        Raises `StaleSessionError` if the session has not all events that are stored.
        """
        if event.partial:
            return event
        place = id(asyncio.get_running_loop()), _conversation(session.app_name, session.user_id, session.id)
        async with self._locks.setdefault(place, asyncio.Lock()):
            version = await arun(self, self._append(session, event))
            if any(it.id == event.id for it in session.events):
                return event
            session._storage_update_marker = str(version + 1)
            session.last_update_time = event.timestamp
            return await super().append_event(session, event)

    def _append(self, session: Session, event: Event) -> Steps[int]:
        """Stores an event, and returns the version that the session had before."""
        id = _conversation(session.app_name, session.user_id, session.id)
        history = History(id, self._seen.get(id))
        version = int(session._storage_update_marker or 0)
        if not version:  # A session that was not read from here.
            entries, version = yield from history.newest(1)
            if version and [it.message["event"]["id"] for it in entries] != [it.id for it in session.events[-1:]]:
                raise StaleSessionError(f"Session {session.id} has other events in storage: read it again.")
        if not version:
            raise SessionNotFoundError(f"Session {session.id} not found.")
        delta = _jsonable({k: v for k, v in event.actions.state_delta.items() if not k.startswith(State.TEMP_PREFIX)})
        changes = yield from self._changes(session.app_name, session.user_id, event.id, delta, event.timestamp)
        kept = json.loads(event.model_dump_json(by_alias=True, exclude_none=True, exclude={"actions": {"state_delta"}}))
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
            self._seen = dict([*self._seen.items(), (id, error.version)][-1000:])
            raise StaleSessionError(f"Session {session.id} was modified in storage: read it again.") from error
        if any(it.key.startswith(_PENDING) for it in changes):  # Of an event that was stored before, there may be none.
            yield from self._settle(id, (yield from read_many_records(id, prefixes=[_PENDING])))
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
        keys = {State.APP_PREFIX: _prefix("app", app), State.USER_PREFIX: _prefix("user", app, user)}
        own: dict[str, Any] = {}
        scoped: dict[str, str] = {}
        for key, value in delta.items():
            scope = key[: key.find(":") + 1]
            if scope in keys:
                scoped[keys[scope] + pack(key.removeprefix(scope))] = json.dumps(value)
            elif scope != State.TEMP_PREFIX:
                own[key] = value
        if len(own) > _KEYS:
            puts = [Put(f"{_STATE}/{pack(event)}", json.dumps(own))]
        else:
            puts = [Put(_STATE + pack(key), json.dumps(value)) for key, value in own.items()]
        if scoped:
            there = yield from read_many_records(None, keys=scoped, values=False)
            pending = [[key, value, there[key].revision if key in there else 0] for key, value in scoped.items()]
            puts.append(Put(_PENDING + pack(event), json.dumps(pending)))
        return [Put(_UPDATED, repr(updated)), *puts]

    def _settle(self, id: str, records: Mapping[str, Record]) -> Steps[None]:
        """Does what events change of the states of apps and users, except where somebody else has written since."""
        for key in [it for it in records if it.startswith(_PENDING)]:
            left = json.loads(records[key].text)
            while left:
                puts = [Put(it[0], it[1], if_match=it[2] or None, if_absent=not it[2]) for it in left]
                try:
                    yield from operations.write_records(None, puts[:_PAGE], idempotency_key=False)
                    left = left[_PAGE:]
                except RevisionMismatch:
                    there = yield from read_many_records(None, keys=[it.key for it in puts], values=False)
                    left = [it for it in left if (there[it[0]].revision if it[0] in there else 0) == it[2]]
            yield from operations.write_records(id, [Delete(key)], idempotency_key=False)


def _conversation(*names: str) -> str:
    """The conversation of a session: a digest, since names may be of any characters and length."""
    return "adk_" + hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _prefix(*names: str) -> str:
    return "".join(f"{pack(it)}/" for it in ("adk", *names))


def _jsonable(state: Mapping[str, Any]) -> dict[str, Any]:
    """State as JSON has it; of what JSON has not, a description."""
    return dict(to_jsonable_python(dict(state), inf_nan_mode="null", fallback=repr))


def _state(prefix: str, records: Mapping[str, Record]) -> dict[str, Any]:
    """The state that records with a prefix have."""
    state: dict[str, Any] = {}
    for record in sorted(records.values(), key=lambda it: it.revision):
        name = record.key.removeprefix(prefix)
        if name != record.key:
            state |= json.loads(record.text) if name.startswith("/") else {unpack(name): json.loads(record.text)}
    return state


def _session(app: str, user: str, name: str, records: Mapping[str, Record], scoped: Mapping[str, Record]) -> Session:
    state = _state(_STATE, records)
    state |= {State.APP_PREFIX + key: value for key, value in _state(_prefix("app", app), scoped).items()}
    state |= {State.USER_PREFIX + key: value for key, value in _state(_prefix("user", app, user), scoped).items()}
    updated = records[_UPDATED].text if _UPDATED in records else 0.0
    return Session(id=name, app_name=app, user_id=user, state=state, last_update_time=float(updated))
