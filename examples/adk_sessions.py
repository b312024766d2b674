#!/usr/bin/env python3
"""Keep the sessions of Google's Agent Development Kit in the store, and check that they behave as ADK's own do.

    pip install google-adk==2.13.0
    python3 adk_sessions.py                       # beside a running `make run`
    API_URL=https://... python3 adk_sessions.py   # any other deployment; API_TOKEN is its token

ConversationSessionService is all that an application needs. What follows it are behaviours that ADK's tests ask of session
services, as far as they need no state. ADK's SQLite service is held to most of them, too, so that they say what ADK says.
"""

import asyncio
import hashlib
import itertools
import json
import os
import tempfile
import unittest
import uuid

import httpx
from google.adk import __version__
from google.adk.agents.base_agent import BaseAgent
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event, EventActions
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, Session, State
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

CONVERSATIONS = "/v1/conversations"
PAGE = 100  # as many as a page may have


class ConversationSessionService(BaseSessionService):
    """Sessions and their events; state is refused, since nothing here would keep it.

    A session is a conversation. Its marker is the version at which it was read, and an append is done only if that is still
    the version: of several holders of one session, those who have not seen the newest event get a StaleSessionError.
    """

    def __init__(self, url, headers=None, transport=None):
        self._http = httpx.AsyncClient(base_url=url, headers=headers, transport=transport, timeout=30)

    async def close(self):
        await self._http.aclose()

    async def create_session(self, *, app_name, user_id, state=None, session_id=None):
        refuse(state)
        session_id = (session_id or "").strip() or str(uuid.uuid4())
        metadata = {"adk_app": app_name, "adk_user": user_id, "adk_session": session_id}
        body = {"id": conversation(app_name, user_id, session_id), "metadata": metadata}
        answer = await self._send("POST", CONVERSATIONS, json=body, headers={"idempotency-key": str(uuid.uuid4())})
        if answer.status_code == 409:  # also after a deletion: an id is not used twice
            raise AlreadyExistsError(f"The session {session_id} exists already, or did.")
        created = done(answer)
        return session_at(created["version"], created["created_at"], app_name, user_id, session_id)

    async def get_session(self, *, app_name, user_id, session_id, config=None):
        session_id, config = session_id.strip(), config or GetSessionConfig()
        path = f"{CONVERSATIONS}/{conversation(app_name, user_id, session_id)}"
        newest, since = config.num_recent_events, config.after_timestamp
        # The newest event is read even if none is wanted: it says when the session was updated.
        query = {"limit": PAGE if newest is None else min(max(newest, 1), PAGE)}
        events, version = [], None
        while True:
            answer = await self._send("GET", f"{path}/messages", params=query)
            if answer.status_code == 404:
                return None
            page = done(answer)
            # The version of the first page: what is added while older pages are read is in none of them.
            version = version or answer.headers["etag"].strip('"')
            events[:0] = [Event.model_validate(record["event"]) for record in page["data"]]
            enough = newest is not None and len(events) >= newest
            if enough or not page["has_more"] or (since is not None and events[0].timestamp < since):
                break
            query["before"] = page["before"]
        updated = events[-1].timestamp if events else done(await self._send("GET", path))["created_at"]
        if newest is not None:
            events = events[max(len(events) - newest, 0) :]
        if since is not None:
            events = [event for event in events if event.timestamp >= since]
        return session_at(version, updated, app_name, user_id, session_id, events)

    async def append_event(self, session, event):
        if event.partial:
            return event
        refuse([key for key in event.actions.state_delta if not key.startswith(State.TEMP_PREFIX)])
        path = f"{CONVERSATIONS}/{conversation(session.app_name, session.user_id, session.id)}/messages"
        # Temporary state, which is all that may be left of the delta, is for those who share this session object.
        kept = event.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"actions": {"state_delta"}})
        record, version = {"type": "adk_event", "id": event.id, "event": kept}, session._storage_update_marker
        answer = await self._send("POST", path, json=record, headers={"if-match": f'"{version}"'})
        error = answer.json().get("error", {})
        if error.get("code") == "conversation_deleted" or error.get("version") == 0:
            raise SessionNotFoundError(f"There is no session {session.id}.")
        if error.get("code") == "version_mismatch":
            raise StaleSessionError(f"The session {session.id} was modified in storage: read it again.")
        done(answer)
        if all(event.id != seen.id for seen in session.events):
            # Not the version in the answer: of an event sent again, it may count what others have added since.
            session._storage_update_marker = str(int(version) + 1)
            session.last_update_time = event.timestamp
            await super().append_event(session, event)
        return event

    async def list_sessions(self, *, app_name, user_id=None):
        query, sessions = {"metadata[adk_app]": app_name, "order": "asc", "limit": PAGE}, {}
        if user_id is not None:
            query["metadata[adk_user]"] = user_id
        while True:
            page = done(await self._send("GET", CONVERSATIONS, params=query))
            for one in page["data"]:
                names = [one["metadata"][f"adk_{name}"] for name in ("app", "user", "session")]
                sessions.pop(one["id"], None)  # one that was updated in between is listed again, further down
                sessions[one["id"]] = session_at(one["version"], one["updated_at"], *names)
            if not page["has_more"]:
                return ListSessionsResponse(sessions=list(sessions.values()))
            query["after"] = page["after"]

    async def delete_session(self, *, app_name, user_id, session_id):
        path = f"{CONVERSATIONS}/{conversation(app_name, user_id, session_id.strip())}"
        answer = await self._send("DELETE", path)
        if answer.status_code != 404:
            done(answer)

    async def _send(self, method, path, **request):
        """Sends until there is an answer. A write may be sent again: a session has a key for it, an event its id."""
        for pause in (0.02, 0.1, 0.4, 1):
            try:
                answer = await self._http.request(method, path, **request)
                if answer.status_code != 503:
                    return answer
            except httpx.TransportError:
                pass
            await asyncio.sleep(pause)
        return await self._http.request(method, path, **request)


def conversation(*names):
    """The id of a session's conversation: a digest, since names may be of any characters and length."""
    return "adk_" + hashlib.sha256(json.dumps(names).encode()).hexdigest()


def session_at(version, updated, app, user, name, events=()):
    session = Session(id=name, app_name=app, user_id=user, events=list(events), last_update_time=float(updated))
    session._storage_update_marker = str(version)
    return session


def refuse(state):
    if state:
        raise NotImplementedError("this service keeps events, but no state")


def done(answer):
    if answer.is_error:
        raise RuntimeError(f"{answer.status_code}: {answer.text}")
    return answer.json()


class Behaviours:
    """What ADK's tests ask of the session services that refuse stale sessions."""

    async def new(self, name=None, user="user", **more):
        return await self.service.create_session(app_name="app", user_id=user, session_id=name, **more)

    async def read(self, session, **config):
        names = {"app_name": session.app_name, "user_id": session.user_id, "session_id": session.id}
        return await self.service.get_session(**names, config=GetSessionConfig(**config))

    async def test_a_session_is_of_one_user_under_its_id_however_padded(self):
        padded = {"app_name": "app", "user_id": "user", "session_id": "order-42\n"}
        assert await self.service.get_session(**padded) is None
        session, other = await self.new(" order-42"), await self.new("order-42", user="other")
        assert session.id == "order-42" and (await self.new(" ")).id.strip()
        assert await self.read(session) == session
        with self.assertRaises(AlreadyExistsError):
            await self.new("order-42")
        await self.service.append_event(session, said("mine"))
        assert texts(await self.service.get_session(**padded)) == ["mine"] and texts(await self.read(other)) == []
        for _ in range(2):
            await self.service.delete_session(**padded)
        assert await self.read(session) is None and await self.read(other)
        with self.assertRaises(SessionNotFoundError):
            await self.service.append_event(session, said("late"))

    async def test_sessions_are_listed_without_events_the_longest_unused_first(self):
        a, *_ = [await self.new(name, user) for name, user in (("a", "user"), ("b", "user"), ("c", "other"), ("d", ""))]
        await asyncio.sleep(0.01)
        await self.service.append_event(a, said("again"))
        for query, expected in (({}, "bcda"), ({"user_id": "user"}, "ba"), ({"user_id": ""}, "d"), ({"user_id": "x"}, "")):
            sessions = (await self.service.list_sessions(app_name="app", **query)).sessions
            assert [session.id for session in sessions] == list(expected), (query, sessions)
            assert not any(session.events for session in sessions)

    async def test_an_event_is_read_as_it_was_appended(self):
        picture = types.Part.from_bytes(data=b"\0picture\xff", mime_type="image/png")
        call = types.Part.from_function_call(name="f", args={"x": 1.5, "s": "\0\U0001f600", "none": None})
        actions = EventActions(artifact_delta={"file": 0}, requested_tool_confirmations={"c": {"hint": "sure?"}})
        grounding = types.GroundingMetadata(search_entry_point=types.SearchEntryPoint(sdk_blob=b"blob"))
        more = {"actions": actions, "grounding_metadata": grounding, "custom_metadata": {"k": [None]}, "partial": False}
        # The instants are of the hour that clocks in New York repeated that day.
        event = said(picture, call, long_running_tool_ids={"c"}, timestamp=1730613600.123, **more)
        session = await self.new()
        await self.service.append_event(session, event)
        await self.service.append_event(session, said(timestamp=1730615400.0))
        stored = await self.read(session)
        assert stored == session and stored.events[0] == event
        assert (await self.read(session, num_recent_events=0)).last_update_time == 1730615400.0

    async def test_what_is_partial_or_temporary_is_not_stored(self):
        session, temporary = await self.new(), EventActions(state_delta={"temp:output": "result"})
        await self.service.append_event(session, said("part", partial=True))
        await self.service.append_event(session, said("whole", actions=temporary))
        stored = await self.read(session)
        assert session.state == {"temp:output": "result"} and stored.state == {}
        assert stored.events == session.events and texts(stored) == ["whole"] and not stored.events[0].actions.state_delta

    async def test_the_newest_events_are_read_or_those_since_an_instant(self):
        session, numbers = await self.new(), [str(number) for number in range(PAGE + 20)]
        for number in numbers:
            await self.service.append_event(session, said(number, timestamp=2e9 + int(number)))
        assert texts(await self.read(session)) == numbers
        for since in (0, 10, PAGE + 18, 2 * PAGE):
            assert texts(await self.read(session, after_timestamp=2e9 + since)) == numbers[since:]
            for newest in (0, 3, PAGE, PAGE + 5, 2 * PAGE):
                both = await self.read(session, num_recent_events=newest, after_timestamp=2e9 + since)
                assert texts(both) == numbers[max(len(numbers) - newest, since) :], (since, newest)

    async def test_a_stale_session_is_refused_until_it_is_read_again(self):
        session = await self.new()
        stale = session.model_copy(deep=True)
        await self.service.append_event(session, said("first"))
        with self.assertRaises(StaleSessionError):
            await self.service.append_event(stale, said("lost"))
        again = await self.read(stale)
        await self.service.append_event(again, said("second"))
        assert stale.events == [] and texts(again) == texts(await self.read(session)) == ["first", "second"]

    async def test_an_agent_that_adk_runs_goes_on_where_it_was(self):
        class Counter(BaseAgent):
            async def _run_async_impl(self, context):
                yield said(str(len(context.session.events)), author=self.name, invocation_id=context.invocation_id)

        session = await self.new()
        for text in ("how many?", "and now?"):
            runner = Runner(app_name="app", agent=Counter(name="counter"), session_service=self.service)
            turn = runner.run_async(user_id="user", session_id=session.id, new_message=said(text).content)
            assert [event async for event in turn]
        assert texts(await self.read(session)) == ["how many?", "1", "and now?", "3"]


class SQLiteOfADK(Behaviours, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.service = SqliteSessionService(f"{folder}/sessions.db")
        self.addAsyncCleanup(self.service.close)


class Lossy(httpx.AsyncHTTPTransport):
    """Loses every third answer, after what was asked for is done."""

    lost = itertools.cycle((False, False, True))

    async def handle_async_request(self, request):
        answer = await super().handle_async_request(request)
        if next(self.lost):
            await answer.aclose()
            raise httpx.ReadError("the answer was lost")
        return answer


class Store(Behaviours, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        url, token = os.environ.get("API_URL", "http://127.0.0.1:9000"), os.environ.get("API_TOKEN")
        # With `make run`, an owner that has nothing yet.
        owner = {"authorization": f"Bearer {token}"} if token else {"x-owner-id": f"adk-{uuid.uuid4()}"}
        self.service = ConversationSessionService(url, owner, Lossy())
        self.addAsyncCleanup(self.service.close)

    async def test_of_those_who_have_read_the_same_session_one_appends(self):
        session, rounds = await self.new(), [str(number) for number in range(8)]
        for text in rounds:
            # What counts is the version, whatever became of the time.
            holders = [(await self.read(session)).model_copy(update={"last_update_time": 0.0}) for _ in range(6)]
            appends = [self.service.append_event(holder, said(text)) for holder in holders]
            results = await asyncio.gather(*appends, return_exceptions=True)
            assert sorted(type(result).__name__ for result in results) == ["Event"] + ["StaleSessionError"] * 5, results
        assert texts(await self.read(session)) == rounds

    async def test_an_event_is_stored_once_however_often_it_is_delivered(self):
        session, event = await self.new(), said("once")
        unanswered = session.model_copy(deep=True)
        for _ in range(2):
            await self.service.append_event(session, event)
        await self.service.append_event(session, said("another"))
        # Who got no answer delivers it again, and has still not seen the other event.
        await self.service.append_event(unanswered, event)
        with self.assertRaises(StaleSessionError):
            await self.service.append_event(unanswered, said("lost"))
        assert texts(unanswered) == ["once"] and texts(await self.read(session)) == texts(session) == ["once", "another"]

    async def test_state_is_refused_and_nothing_of_it_stored(self):
        with self.assertRaises(NotImplementedError):
            await self.new("a", state={"key": "value"})
        session = await self.new("a")
        with self.assertRaises(NotImplementedError):
            await self.service.append_event(session, said(actions=EventActions(state_delta={"key": 1})))
        assert (await self.read(session)).events == []


def said(*parts, **more):
    parts = [types.Part(text=part) if isinstance(part, str) else part for part in parts]
    return Event(**{"author": "user", "invocation_id": "i", "content": types.Content(role="user", parts=parts)} | more)


def texts(session):
    return [event.content.parts[0].text for event in session.events]


if __name__ == "__main__":
    tried = unittest.main(verbosity=2, exit=False).result
    if not tried.wasSuccessful():
        raise SystemExit(1)
    print(f"Sessions of ADK {__version__}, {tried.testsRun} behaviours: all as expected")
