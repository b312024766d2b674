"""The session service of ADK, through its own runner, against a real server; its SQLite service is held to the same."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import faults
import httpx
import pytest
from google.adk.agents import LlmAgent
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event, EventActions
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, Session
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools.tool_context import ToolContext
from google.genai import types

from conversation_store import AsyncConversationStore, NotFound
from conversation_store.adk import ConversationStoreSessionService

pytestmark = pytest.mark.anyio


def said(*parts: Any, **more: Any) -> Event:
    made = [types.Part(text=part) if isinstance(part, str) else part for part in parts]
    given: dict[str, Any] = {"author": "user", "invocation_id": "i", **more}
    return Event(content=types.Content(role="user", parts=made), **given)


def sets(**delta: Any) -> Event:
    """An event that changes state; `app__x` is `app:x`."""
    return said(
        "set", actions=EventActions(state_delta={key.replace("__", ":"): value for key, value in delta.items()})
    )


def texts(session: Session | None) -> list[str]:
    assert session
    return [
        part.text or (part.function_call.name if part.function_call else str(part.function_response.response)) or ""  # type: ignore[union-attr]
        for event in session.events
        for part in (event.content.parts if event.content and event.content.parts else [])
    ]


class Sessions:
    """Asks a service about one app."""

    def __init__(self, service: Any) -> None:
        self.service = service

    async def new(self, name: str | None = None, user: str = "user", app: str = "app", **more: Any) -> Session:
        session: Session = await self.service.create_session(app_name=app, user_id=user, session_id=name, **more)
        return session

    async def read(self, session: Session, **config: Any) -> Any:
        names = {"app_name": session.app_name, "user_id": session.user_id, "session_id": session.id}
        return await self.service.get_session(**names, config=GetSessionConfig(**config))

    async def append(self, session: Session, event: Event) -> Event:
        event = await self.service.append_event(session, event)
        return event


@pytest.fixture(params=["store", "sqlite"])
async def sessions(
    request: pytest.FixtureRequest, tmp_path: Path, base_url: str, owner: str
) -> AsyncIterator[Sessions]:
    """Behaviours that ADK's own service has, too."""
    if request.param == "sqlite":
        service = SqliteSessionService(str(tmp_path / "sessions.db"))
        yield Sessions(service)
        await service.close()
    else:
        async with AsyncConversationStore(base_url, owner=owner) as store:
            yield Sessions(ConversationStoreSessionService(store))


@pytest.fixture
def ours(async_store: AsyncConversationStore) -> Sessions:
    return Sessions(ConversationStoreSessionService(async_store))


# --- sessions


async def test_a_session_is_of_one_user_under_its_id_however_padded(sessions: Sessions) -> None:
    padded = {"app_name": "app", "user_id": "user", "session_id": "order-42\n"}
    assert await sessions.service.get_session(**padded) is None
    session, other = await sessions.new(" order-42"), await sessions.new("order-42", user="other")
    assert session.id == "order-42" and (await sessions.new(" ")).id.strip()
    assert await sessions.read(session) == session
    with pytest.raises(AlreadyExistsError):
        await sessions.new("order-42")
    await sessions.append(session, said("mine"))
    assert texts(await sessions.service.get_session(**padded)) == ["mine"] and texts(await sessions.read(other)) == []
    for _ in range(2):
        await sessions.service.delete_session(**padded)
    assert await sessions.read(session) is None and await sessions.read(other)
    with pytest.raises(SessionNotFoundError):
        await sessions.append(session, said("late"))


async def test_sessions_are_listed_without_events_the_longest_unused_first(sessions: Sessions) -> None:
    a, *_ = [await sessions.new(name, user) for name, user in (("a", "user"), ("b", "user"), ("c", "other"), ("d", ""))]
    await sessions.new("e", app="another")
    await asyncio.sleep(0.01)
    await sessions.append(a, said("again"))
    for query, expected in (({}, "bcda"), ({"user_id": "user"}, "ba"), ({"user_id": ""}, "d"), ({"user_id": "x"}, "")):
        found = (await sessions.service.list_sessions(app_name="app", **query)).sessions
        assert [it.id for it in found] == list(expected) and not any(it.events for it in found)
        for it in found:
            assert it == await sessions.read(it, num_recent_events=0)


async def test_an_event_is_read_as_it_was_appended(sessions: Sessions) -> None:
    picture = types.Part.from_bytes(data=b"\0picture\xff", mime_type="image/png")
    call = types.Part.from_function_call(name="f", args={"x": 1.5, "s": "\0\U0001f600", "none": None})
    actions = EventActions(artifact_delta={"file": 0}, requested_tool_confirmations={"c": {"hint": "sure?"}})  # type: ignore[dict-item]
    grounding = types.GroundingMetadata(search_entry_point=types.SearchEntryPoint(sdk_blob=b"blob"))
    more = {"actions": actions, "grounding_metadata": grounding, "custom_metadata": {"k": [None]}, "partial": False}
    event = said(picture, call, long_running_tool_ids={"c"}, timestamp=1730613600.123, **more)
    session = await sessions.new()
    await sessions.append(session, event)
    await sessions.append(session, said(timestamp=1730615400.0))
    stored = await sessions.read(session)
    assert stored == session and stored.events[0] == event
    assert (await sessions.read(session, num_recent_events=0)).last_update_time == 1730615400.0


async def test_the_newest_events_are_read_or_those_since_an_instant(sessions: Sessions) -> None:
    session, numbers = await sessions.new(), [str(number) for number in range(120)]
    for number in numbers:
        await sessions.append(session, said(number, timestamp=2e9 + int(number)))
    assert texts(await sessions.read(session)) == numbers
    for since in (0, 10, 118, 240):
        assert texts(await sessions.read(session, after_timestamp=2e9 + since)) == numbers[since:]
        for newest in (0, 3, 100, 105, 240):
            both = await sessions.read(session, num_recent_events=newest, after_timestamp=2e9 + since)
            assert texts(both) == numbers[max(len(numbers) - newest, since) :]


async def test_a_stale_session_is_refused_until_it_is_read_again(sessions: Sessions) -> None:
    session = await sessions.new()
    stale = session.model_copy(deep=True)
    await sessions.append(session, said("first"))
    with pytest.raises(StaleSessionError):
        await sessions.append(stale, sets(x=1, app__x=1))
    again = await sessions.read(stale)
    await sessions.append(again, said("second"))
    assert stale.events == [] and texts(again) == texts(await sessions.read(session)) == ["first", "second"]
    assert (await sessions.read(session)).state == {}


# --- state


async def test_states_of_app_user_and_session(sessions: Sessions) -> None:
    state = {"app:color": "red", "user:name": "Ann", "step": 1, "temp:x": "y"}
    session = await sessions.new("one", state=state)
    shown = {key: value for key, value in state.items() if key != "temp:x"}
    assert session.state == shown and (await sessions.read(session)).state == shown
    second, other = await sessions.new("two"), await sessions.new("three", user="other")
    assert second.state == {"app:color": "red", "user:name": "Ann"} and other.state == {"app:color": "red"}
    assert (await sessions.new("four", app="another")).state == {}
    await sessions.append(
        second, sets(app__color="blue", user__name="Bob", step=7, temp__t=1, user__list=[1, {"a": None}])
    )
    assert second.state["temp:t"] == 1 and second.state["step"] == 7
    expected = {"app:color": "blue", "user:name": "Bob", "user:list": [1, {"a": None}]}
    assert (await sessions.read(second)).state == {**expected, "step": 7}
    assert (await sessions.read(session)).state == {**expected, "step": 1}
    assert (await sessions.read(other)).state == {"app:color": "blue"}
    assert await sessions.service.get_user_state(app_name="app", user_id="user") == {
        "name": "Bob",
        "list": [1, {"a": None}],
    }
    assert await sessions.service.get_user_state(app_name="app", user_id="nobody") == {}
    listed = {it.id: it.state for it in (await sessions.service.list_sessions(app_name="app")).sessions}
    assert listed == {"one": {**expected, "step": 1}, "two": {**expected, "step": 7}, "three": {"app:color": "blue"}}
    await sessions.service.delete_session(app_name="app", user_id="user", session_id="two")
    assert (await sessions.read(session)).state == {**expected, "step": 1}
    # An event has what it changes, except what is temporary.
    await sessions.append(session, sets(step=2, temp__t=1))
    assert (await sessions.read(session)).events[-1].actions.state_delta == {"step": 2}


async def test_values_of_state_are_overwritten_and_odd_names_kept(sessions: Sessions) -> None:
    session = await sessions.new()
    odd = {"a/b": 1, "~%": 2, "": 3, "app:": 4, "user:a/b\0?": 5, "Ünï": "☃" * 1000, "none": None}
    await sessions.append(session, said("x", actions=EventActions(state_delta=odd)))
    await sessions.append(session, sets(none=1, other=[]))
    await sessions.append(session, sets(none=None, other={"x": 1.5}))
    assert (await sessions.read(session)).state == {**odd, "other": {"x": 1.5}}


async def test_what_is_partial_or_temporary_is_not_stored(sessions: Sessions) -> None:
    session, temporary = await sessions.new(), EventActions(state_delta={"temp:output": "result"})
    await sessions.append(session, said("part", partial=True))
    await sessions.append(session, said("whole", actions=temporary))
    stored = await sessions.read(session)
    assert session.state == {"temp:output": "result"} and stored.state == {}
    assert stored.events == session.events and texts(stored) == ["whole"] and not stored.events[0].actions.state_delta


async def test_state_that_is_no_json_is_kept_as_well_as_it_can_be(ours: Sessions) -> None:
    session = await ours.new(state={"when": datetime(2026, 1, 1), "call": len})
    await ours.append(session, sets(when=datetime(2026, 1, 2), call=len, nan=float("nan")))
    state = (await ours.read(session)).state
    assert state["when"] == "2026-01-02T00:00:00" and "len" in state["call"] and state["nan"] is None


async def test_bytes_of_any_kind_are_kept_as_well_as_they_can_be(ours: Sessions) -> None:
    session = await ours.new(state={"text": b"text"})
    await ours.append(session, sets(binary=b"\xff\x00", app__list=[b"\xff"]))
    assert (await ours.read(session)).state == {"text": "text", "binary": "_wA=", "app:list": ["_w=="]}


LONG = ["k" * 600, "日" * 200, "nul\0nul", "cut \ud83d", "~.odd"]


@pytest.mark.parametrize("name", LONG, ids=range(len(LONG)))
async def test_names_of_any_characters_and_length(ours: Sessions, name: str) -> None:
    session = await ours.new(name, user=name, app=name, state={name: 1, f"app:{name}": 2, f"user:{name}": 3})
    assert (session.id, session.user_id, session.app_name) == (name.strip(), name, name)
    other = await ours.new("other", user=name, app=name)
    await ours.new("other", user=name + "x", app=name)
    await ours.new(name, user=name, app=name + "x")
    await ours.append(session, said("x", id=name, actions=EventActions(state_delta={name: 4, f"user:{name}": 5})))
    await ours.append(session, said("y", actions=EventActions(state_delta={name + "x": 6})))
    shared = {f"app:{name}": 2, f"user:{name}": 5}
    stored = await ours.read(session)
    assert stored.state == {name: 4, name + "x": 6, **shared} and stored.events[0].id == name
    assert (await ours.read(other)).state == shared
    listed = (await ours.service.list_sessions(app_name=name, user_id=name)).sessions
    assert {it.id: it.state for it in listed} == {name: stored.state, "other": shared}
    everyone = (await ours.service.list_sessions(app_name=name)).sessions
    assert {(it.user_id, it.id) for it in everyone} == {(name, name), (name, "other"), (name + "x", "other")}
    assert await ours.service.get_user_state(app_name=name, user_id=name) == {name: 5}


async def test_large_values_of_state_are_one_commit_with_their_event(ours: Sessions) -> None:
    session = await ours.new()
    large = {"quotes": '"' * 1_000_000, "user:quotes": '"' * 1_000_000}
    await ours.append(session, said("x", actions=EventActions(state_delta=large)))
    many = {f"k{number}": "y" * 500_000 for number in range(9)} | {
        f"app:k{number}": "\\" * 400_000 for number in range(9)
    }
    await ours.append(session, said("y", actions=EventActions(state_delta=many)))
    assert (await ours.read(session)).state == {**large, **many}
    await ours.append(session, sets(k1="small", app__k1="small", quotes=None))
    expected = {**large, **many, "k1": "small", "app:k1": "small", "quotes": None}
    assert (await ours.read(session)).state == expected


def test_a_runner_that_makes_a_loop_for_each_call(base_url: str, owner: str) -> None:
    store = AsyncConversationStore(base_url, owner=owner)
    service = ConversationStoreSessionService(store)
    blocking = Runner(
        app_name="app",
        agent=LlmAgent(name="agent", model=Script(model="script")),
        session_service=service,
        auto_create_session=True,
    )
    for number in (1, 2, 4):
        content = types.Content(role="user", parts=[types.Part(text=f"turn {number}")])
        [event] = blocking.run(user_id="user", session_id="s", new_message=content)
        assert event.content and event.content.parts and event.content.parts[0].text == f"answer to turn {number}"
    session = asyncio.run(service.get_session(app_name="app", user_id="user", session_id="s"))
    assert len(texts(session)) == 6
    asyncio.run(store.aclose())


async def test_a_404_of_a_gateway_is_no_success(base_url: str, owner: str) -> None:
    class Gateway(httpx.AsyncHTTPTransport):
        lost = False

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if self.lost:
                return httpx.Response(404, json={"message": "Not Found"})
            return await super().handle_async_request(request)

    transport = Gateway()
    async with AsyncConversationStore(base_url, owner=owner, transport=transport) as store:
        ours = Sessions(ConversationStoreSessionService(store))
        session = await ours.new()
        transport.lost = True
        for request in (
            ours.append(session, said("x")),
            ours.read(session),
            ours.service.delete_session(app_name="app", user_id="user", session_id=session.id),
        ):
            with pytest.raises(NotFound):
                await request
        transport.lost = False
        assert session.events == [] and texts(await ours.read(session)) == []


async def test_any_number_of_values_is_one_commit(ours: Sessions) -> None:
    many = {f"key {number}": number for number in range(250)}
    shared = {f"app:key {number}": number for number in range(150)}
    session = await ours.new(state={**many, **shared})
    assert session.state == {**many, **shared}
    await ours.append(session, said("x", actions=EventActions(state_delta={"key 7": "changed"})))
    assert (await ours.read(session)).state == {**many, **shared, "key 7": "changed"}
    more = {f"key {number}": -number for number in range(100)} | {f"app:key {number}": -number for number in range(150)}
    await ours.append(session, said("x", actions=EventActions(state_delta=more)))
    assert (await ours.read(session)).state == {**many, **more}


async def test_an_event_may_be_large(ours: Sessions) -> None:
    session = await ours.new()
    for size in (300_000, 4_000_000):
        await ours.append(session, said("x" * size, actions=EventActions(state_delta={"size": size})))
    assert await ours.read(session) == session and session.state == {"size": 4_000_000}
    assert len(texts(await ours.read(session, num_recent_events=1))[0]) == 4_000_000


async def test_whoever_reads_a_session_does_what_a_killed_writer_left(ours: Sessions) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any) -> Any:
        raise Killed
        yield

    session, other = await ours.new(), await ours.new(user="other")
    killed = ConversationStoreSessionService(ours.service.store)
    killed._settle = dies  # type: ignore[assignment]
    with pytest.raises(Killed):
        await killed.append_event(session, sets(app__x=1, app__y=1, user__z=1, step=1))
    assert (await ours.read(other)).state == {}
    # What others write meanwhile is newer.
    await ours.append(await ours.read(other), sets(app__y=2))
    assert (await ours.read(session)).state == {"app:x": 1, "app:y": 2, "user:z": 1, "step": 1}
    assert (await ours.read(other)).state == {"app:x": 1, "app:y": 2}
    assert not [it for it in (await records(ours, session)) if it.startswith("adk/p/")]


async def records(ours: Sessions, session: Session) -> list[str]:
    from conversation_store._adk_state import conversation

    id = conversation(session.app_name, session.user_id, session.id)
    return [it.key for it in (await ours.service.store.list_records(id)).data]


# --- holders


async def test_of_those_who_have_read_the_same_session_one_appends(ours: Sessions) -> None:
    session, rounds = await ours.new(), [str(number) for number in range(8)]
    for text in rounds:
        # What counts is the version, whatever became of the time. Each holder has a process of its own.
        holders = [(await ours.read(session)).model_copy(update={"last_update_time": 0.0}) for _ in range(6)]
        services = [ConversationStoreSessionService(ours.service.store) for _ in holders]
        appends = [service.append_event(it, said(text)) for it, service in zip(holders, services, strict=True)]
        results = await asyncio.gather(*appends, return_exceptions=True)
        assert sorted(type(it).__name__ for it in results) == ["Event"] + ["StaleSessionError"] * 5
    assert texts(await ours.read(session)) == rounds


async def test_appends_to_one_session_object_wait_for_each_other(ours: Sessions) -> None:
    session = await ours.new()
    await asyncio.gather(*(ours.append(session, sets(**{f"k{number}": number})) for number in range(5)))
    assert (await ours.read(session)) == session and len(session.state) == 5


async def test_an_event_is_stored_once_however_often_it_is_delivered(ours: Sessions) -> None:
    session, event = await ours.new(), said("once", actions=EventActions(state_delta={"x": 1, "app:x": 1}))
    unanswered = session.model_copy(deep=True)
    for _ in range(2):
        await ours.append(session, event)
    await ours.append(session, sets(x=2, app__x=2))
    # Who got no answer delivers it again, and has still not seen the other event.
    await ours.append(unanswered, event)
    with pytest.raises(StaleSessionError):
        await ours.append(unanswered, said("lost"))
    assert texts(unanswered) == ["once"] and texts(await ours.read(session)) == texts(session) == ["once", "set"]
    assert (await ours.read(session)).state == {"x": 2, "app:x": 2}


async def test_a_session_that_was_not_read_from_here_is_compared_by_its_newest_event(ours: Sessions) -> None:
    session = await ours.new("s")
    await ours.append(session, said("first"))
    restored = Session(id="s", app_name="app", user_id="user", events=list(session.events))
    await ours.append(restored, said("second"))
    with pytest.raises(StaleSessionError):
        await ours.append(Session(id="s", app_name="app", user_id="user"), said("lost"))
    with pytest.raises(SessionNotFoundError):
        await ours.append(Session(id="none", app_name="app", user_id="user"), said("lost"))
    assert texts(await ours.read(session)) == ["first", "second"]


# --- the runner


class Script(BaseLlm):
    """Counts by a tool on each third turn, and answers what it was told last."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for it in llm_request.contents for part in it.parts or []]
        last = parts[-1]
        if last.text and last.text.startswith("turn ") and int(last.text.split()[1]) % 3 == 0:
            part = types.Part.from_function_call(name="count", args={})
        else:
            told = last.text or (last.function_response and last.function_response.response)
            part = types.Part(text=f"answer to {told}")
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def count(tool_context: ToolContext) -> dict[str, int]:
    """Counts."""
    for key in ("count", "app:count", "user:count"):
        tool_context.state[key] = tool_context.state.get(key, 0) + 1
    return {"count": tool_context.state["count"]}


def runner(service: BaseSessionService) -> Runner:
    agent = LlmAgent(name="agent", model=Script(model="script"), tools=[count], output_key="last")
    return Runner(app_name="app", agent=agent, session_service=service)


async def run(service: BaseSessionService, session: str, text: str) -> None:
    content = types.Content(role="user", parts=[types.Part(text=text)])
    async for _ in runner(service).run_async(user_id="user", session_id=session, new_message=content):
        pass


async def test_an_agent_that_adk_runs_goes_on_where_it_was(sessions: Sessions) -> None:
    session = await sessions.new()
    for number in (2, 3, 6):
        await run(sessions.service, session.id, f"turn {number}")
    read = await sessions.read(session)
    assert texts(read)[:6] == [
        "turn 2",
        "answer to turn 2",
        "turn 3",
        "count",
        "{'count': 1}",
        "answer to {'count': 1}",
    ]
    expected = {"count": 2, "app:count": 2, "user:count": 2, "last": "answer to {'count': 2}"}
    assert read.state == expected
    assert (await sessions.new()).state == {"app:count": 2, "user:count": 2}


# --- faults


class Holding(ConversationStoreSessionService):
    """Gives a runner the session as it was read, so that it is stale if another worker has been faster."""

    held: Session | None = None

    async def get_session(self, **names: Any) -> Session | None:
        return self.held or await super().get_session(**names)


async def test_no_turn_is_lost_doubled_or_out_of_order(base_url: str, owner: str) -> None:
    names: Any = {"app_name": "app", "user_id": "user", "session_id": "s"}
    recent: Any = {"config": GetSessionConfig(num_recent_events=4)}
    with faults.front(base_url, seed=3) as front:
        stores = [faults.lasting_async(front.url, owner) for _ in range(2)]
        await ConversationStoreSessionService(stores[0]).create_session(**names)

        async def turn(worker: int) -> int | None:
            service = Holding(stores[worker])
            session = service.held = await service.get_session(**names, **recent)
            assert session
            number: int = session.state.get("turn", -1) + 1
            if session.events and not texts(session)[-1].startswith("answer"):
                raise StaleSessionError  # The other worker is at it.
            if number == faults.TURNS:
                return None
            content = types.Content(role="user", parts=[types.Part(text=f"turn {number}")])
            delta = {"turn": number, "user:turn": number}
            async for _ in runner(service).run_async(
                user_id="user", session_id="s", new_message=content, state_delta=delta
            ):
                pass
            return number

        outcomes = await faults.race(turn, StaleSessionError)
        for store in stores:
            await store.aclose()
    assert outcomes["done by 0"] + outcomes["done by 1"] == faults.TURNS and outcomes["StaleSessionError"] > 0
    async with AsyncConversationStore(base_url, owner=owner) as store:
        session = await ConversationStoreSessionService(store).get_session(**names)
    expected: list[str] = []
    for number in range(faults.TURNS):
        counted = {"count": number // 3 + 1}
        called = ["count", str(counted), f"answer to {counted}"]
        expected += [f"turn {number}", *(called if number % 3 == 0 else [f"answer to turn {number}"])]
    assert session and texts(session) == expected
    counts = dict.fromkeys(("count", "app:count", "user:count"), faults.TURNS // 3 + 1)
    turns = dict.fromkeys(("turn", "user:turn"), faults.TURNS - 1)
    assert session.state == {**counts, **turns, "last": f"answer to turn {faults.TURNS - 1}"}
