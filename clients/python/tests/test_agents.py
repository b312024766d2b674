"""The session of the OpenAI Agents SDK, through the SDK's own runner and compaction, against a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import faults
import pytest
from agents import Agent, Model, ModelResponse, RunConfig, Runner, SessionSettings, Usage, function_tool
from agents.extensions.memory.encrypt_session import EncryptedSession
from agents.memory import OpenAIResponsesCompactionSession, Session, SQLiteSession
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from openai.types.responses.response import Response

from conversation_store import AsyncConversationStore, ConversationStore, VersionMismatch
from conversation_store.agents import ConversationStoreSession

pytestmark = pytest.mark.anyio
QUIET = RunConfig(tracing_disabled=True)


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def words(items: Any) -> list[str]:
    """What was said, called and answered."""
    return [it.get("name") or it.get("output") or _text(it.get("content") or it.get("type", "")) for it in items]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@function_tool
def weather(city: str) -> str:
    return f"sunny in {city}"


class Script(Model):
    """Looks up the weather on each third turn, and says how many turns it has been shown."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    def _output(self, input: Any) -> list[Any]:
        self.asked.append([user(input)] if isinstance(input, str) else list(input))
        last = self.asked[-1][-1]
        said = words(self.asked[-1])
        turn = [it for it in said if it.startswith("turn ")][-1] if any(it.startswith("turn ") for it in said) else ""
        if last.get("role") == "user" and turn and int(turn.split()[1]) % 3 == 0:
            arguments = json.dumps({"city": "Lisbon"})
            return [
                ResponseFunctionToolCall(
                    type="function_call", call_id=turn, name="weather", arguments=arguments, id="f"
                )
            ]
        part = ResponseOutputText(type="output_text", text=f"answer to {said[-1]}", annotations=[])
        return [ResponseOutputMessage(id="msg_1", type="message", role="assistant", status="completed", content=[part])]

    async def get_response(self, system_instructions: Any, input: Any, *rest: Any, **more: Any) -> ModelResponse:
        return ModelResponse(output=self._output(input), usage=Usage(), response_id="resp")

    async def stream_response(
        self, system_instructions: Any, input: Any, *rest: Any, **more: Any
    ) -> AsyncIterator[Any]:
        output = self._output(input)
        given: dict[str, Any] = {"id": "resp", "created_at": 0, "model": "m", "object": "response", "output": output}
        response = Response(**given, parallel_tool_calls=False, tool_choice="auto", tools=[])
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


def agent(model: Model | None = None) -> Agent[Any]:
    return Agent(name="guide", model=model or Script(), tools=[weather])


@pytest.fixture
def session(async_store: AsyncConversationStore) -> ConversationStoreSession:
    return ConversationStoreSession("trip", async_store)


# --- what the SDK's own tests ask of sessions


async def test_it_is_a_session(session: ConversationStoreSession) -> None:
    assert isinstance(session, Session)
    async with session.turn() as turn:
        assert isinstance(turn, Session)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_runner_remembers(session: ConversationStoreSession, streamed: bool) -> None:
    model = Script()

    async def run(text: str) -> None:
        if not streamed:
            await Runner.run(agent(model), text, session=session, run_config=QUIET)
            return
        result = Runner.run_streamed(agent(model), text, session=session, run_config=QUIET)
        async for _ in result.stream_events():
            pass

    await run("turn 3")
    await run("turn 4")
    expected = ["turn 3", "weather", "sunny in Lisbon", "answer to sunny in Lisbon", "turn 4", "answer to turn 4"]
    assert words(await session.get_items()) == expected and words(model.asked[-1]) == expected[:-1]
    assert [it.get("id") for it in model.asked[-1]] == [None, "f", None, "msg_1", None]
    limited = RunConfig(tracing_disabled=True, session_settings=SessionSettings(limit=2))
    await Runner.run(agent(model), "turn 5", session=session, run_config=limited)
    assert words(model.asked[-1]) == ["turn 4", "answer to turn 4", "turn 5"]


def test_a_runner_that_blocks(store: ConversationStore) -> None:
    session = ConversationStoreSession("trip", store)
    Runner.run_sync(agent(), "turn 1", session=session, run_config=QUIET)
    assert words(asyncio.run(session.get_items())) == ["turn 1", "answer to turn 1"]


async def test_items_are_read_and_popped_as_they_were_added(session: ConversationStoreSession) -> None:
    assert await session.get_items() == [] and await session.pop_item() is None
    await session.clear_session()
    await session.add_items([])
    odd: list[Any] = [
        user("naïve ☃ \0 '; DROP TABLE messages; --"),
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"id": "__fake_id__", "type": "message", "role": "assistant", "status": "completed", "content": []},
        {"id": "__fake_id__", "type": "message", "role": "assistant", "status": "completed", "content": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "c"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "y"},
    ]
    await session.add_items(odd)
    assert await session.get_items() == odd
    assert await session.get_items(3) == odd[-3:] and await session.get_items(0) == await session.get_items(-1) == []
    for item in reversed(odd):
        assert await session.pop_item() == item
    assert await session.pop_item() is None
    await session.add_items(odd)  # Again, with the same ids.
    assert await session.get_items(100) == odd


async def test_settings_limit_what_is_read(session: ConversationStoreSession) -> None:
    await session.add_items([user(str(number)) for number in range(5)])
    limited = ConversationStoreSession("trip", session.store, session_settings=SessionSettings(limit=2))
    assert words(await limited.get_items()) == ["3", "4"] and words(await limited.get_items(3)) == ["2", "3", "4"]


async def test_sessions_are_apart_and_go_on_after_they_are_cleared(session: ConversationStoreSession) -> None:
    other = ConversationStoreSession("user/42 ü", session.store)
    await session.add_items([user("mine")])
    await other.add_items([user("yours")])
    await session.clear_session()
    assert await session.get_items() == [] and words(await other.get_items()) == ["yours"]
    await session.add_items([user("again")])
    assert words(await session.get_items()) == ["again"]
    conversation = await session.store.get_conversation("trip")  # type: ignore[misc]
    assert conversation.message_count == 1


async def test_messages_that_others_have_added_are_items(session: ConversationStoreSession) -> None:
    await session.store.add_messages("trip", [user("Hello!")])  # type: ignore[misc]
    assert await session.get_items() == [user("Hello!")]


def same(items: Any) -> str:
    """Items as text, since no two infinities and keys of one spelling are alike."""
    return json.dumps(json.loads(json.dumps(items)), sort_keys=True)


ODD: list[Any] = [
    {"type": "item_reference", "id": "rs_1"},
    {"id": "msg_1"},
    {"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": "x"},
    {"role": "user", "content": "x", "seq": 5, "created_at": 7},
    {"type": "x", "item_id": "own"},
    {"type": "message", "role": "user", "content": "x", "metadata": "text", "name": 7},
    {"role": "narrator", "content": "x"},
    {"type": 7},
    {"type": "message"},
    {"role": "user", "content": 7},
    {"role": "user", "content": ["text"]},
    {"role": "user", "content": "x", "tool_calls": {"a": 1}},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]},
    {"role": "user", "content": None},
    {"type": "record_batch", "digest": "0" * 32, "parts": 1, "count": 1},
    {"type": "agents_item", "item": {"role": "user", "content": "nested"}},
    {"type": "agents_item"},
    {"role": "user", "content": "x", "numbers": [float("inf"), 1e300, 12345678901234567890]},
    {"type": "function_call_output", "call_id": "c", "output": [], "deep": json.loads("[" * 150 + "]" * 150)},
    {"type": "function_call_output", "call_id": "c", "output": "x\ud83d\0", "deep": json.loads("[" * 80 + "]" * 80)},
    {"type": "mcp_call", "id": "m", "name": "n", "arguments": "{}", "output": None, "status": None},
    {"role": "user", "content": "x", "id": None, 7: "seven"},
    {},
]


@pytest.mark.parametrize("item", ODD, ids=range(len(ODD)))
async def test_items_that_the_store_would_refuse_or_change_are_kept_as_sqlite_keeps_them(
    session: ConversationStoreSession, item: Any
) -> None:
    sqlite = SQLiteSession("trip")
    for each in (session, sqlite):
        await each.add_items([user("before"), item, user("after")])
    assert same(await session.get_items()) == same(await sqlite.get_items())
    await session.pop_item()
    await sqlite.pop_item()
    assert same(await session.pop_item()) == same(await sqlite.pop_item())


async def test_an_encrypted_session_remembers(session: ConversationStoreSession) -> None:
    client = Compacts()
    encrypted = EncryptedSession("trip", compacting(session, client, after=4), "k" * 40)
    for number in (1, 2, 4):
        await Runner.run(agent(), f"turn {number}", session=encrypted, run_config=QUIET)
    assert all("__enc__" in it for it in await session.get_items())
    assert words(await encrypted.get_items()) == ["compaction", "turn 4", "answer to turn 4"]
    await encrypted.run_compaction({"force": True})
    assert words(await encrypted.get_items()) == ["compaction"]


# --- any number and size


@pytest.mark.parametrize("count,size", [(1234, 1), (60, 100_000), (1, 3_000_000), (3, 300_000)])
async def test_however_much_is_one_commit(session: ConversationStoreSession, count: int, size: int) -> None:
    await session.add_items([user("before")])
    version = (await session.store.get_conversation("trip")).version  # type: ignore[misc]
    items = [user(f"{number} " + "ü" * size) for number in range(count)]
    await session.add_items(items)
    assert (await session.store.get_conversation("trip")).version == version + 1  # type: ignore[misc]
    assert await session.get_items() == [user("before"), *items]
    assert await session.get_items(2) == [user("before"), *items][-2:]
    assert await session.pop_item() == items[-1]
    await session.add_items([user("after")])
    assert await session.get_items() == [user("before"), *items[:-1], user("after")]
    for item in [user("after"), *items[-2:-4:-1]][: count + 1]:
        assert await session.pop_item() == item
    await session.clear_session()
    assert await session.get_items() == []
    assert (await session.store.list_records("trip")).data == []  # type: ignore[misc]


async def test_the_first_items_may_be_many(session: ConversationStoreSession) -> None:
    async with session.turn() as turn:
        assert await turn.get_items() == []
        await turn.add_items([user(str(number)) for number in range(150)])
    assert words(await session.get_items()) == [str(number) for number in range(150)]


async def test_nobody_sees_a_part_of_what_is_added(session: ConversationStoreSession) -> None:
    batch = [user(str(number)) for number in range(150)]
    done = asyncio.Event()

    async def add() -> None:
        for _ in range(5):
            await session.add_items(batch)
        done.set()

    async def read() -> None:
        while not done.is_set():
            assert len(await session.get_items()) % 150 == 0

    await asyncio.gather(add(), read(), read())
    assert len(await session.get_items()) == 750


# --- two workers


async def test_each_item_is_popped_once(session: ConversationStoreSession, base_url: str, owner: str) -> None:
    await session.add_items([user(str(number)) for number in range(130)])
    async with AsyncConversationStore(base_url, owner=owner) as store:
        sessions = [session, ConversationStoreSession("trip", store)]
        popped = await asyncio.gather(*(sessions[number % 2].pop_item() for number in range(10)))
    assert sorted(words(popped)) == [str(number) for number in range(120, 130)]
    assert words(await session.get_items()) == [str(number) for number in range(120)]


async def test_a_turn_is_stored_as_a_whole_or_not_at_all(session: ConversationStoreSession) -> None:
    async with session.turn() as turn:
        await Runner.run(agent(), "turn 3", session=turn, run_config=QUIET)
        assert await session.get_items() == [] and len(await turn.get_items()) == 4
    assert len(await session.get_items()) == 4
    with pytest.raises(ZeroDivisionError):
        async with session.turn() as turn:
            await turn.add_items([user("lost")])
            raise ZeroDivisionError
    with pytest.raises(VersionMismatch):
        async with session.turn() as turn:
            await Runner.run(agent(), "turn 4", session=turn, run_config=QUIET)
            await session.add_items([user("first")])
    assert words(await session.get_items())[4:] == ["first"]
    async with session.turn() as turn:
        assert words([await turn.pop_item(), await turn.pop_item()]) == ["first", "answer to sunny in Lisbon"]
        assert len(await turn.get_items()) == 3 and words(await turn.get_items(1)) == ["sunny in Lisbon"]
        await turn.add_items([user("a"), user("b")])
        assert words([await turn.pop_item()]) == ["b"]
    assert words(await session.get_items()) == ["turn 3", "weather", "sunny in Lisbon", "a"]
    async with session.turn() as turn:
        await turn.clear_session()
        assert await turn.get_items() == [] and await turn.pop_item() is None
        await turn.add_items([user("only")])
    assert words(await session.get_items()) == ["only"]


# --- compaction


class Compacts:
    """In the place of OpenAI's `responses.compact`."""

    def __init__(self, meanwhile: Any = None) -> None:
        self.responses, self.inputs, self.meanwhile = self, list[Any](), meanwhile

    async def compact(self, *, input: Any = None, **_: Any) -> Any:
        self.inputs.append(input)
        if self.meanwhile:
            await self.meanwhile()
        return SimpleNamespace(output=[{"type": "compaction", "encrypted_content": "summary"}], usage=None)


def compacting(session: Any, client: Any, after: int) -> OpenAIResponsesCompactionSession:
    return OpenAIResponsesCompactionSession(
        session.session_id,
        session,
        client=client,
        compaction_mode="input",
        should_trigger_compaction=lambda context: len(context["session_items"]) >= after,
    )


async def test_a_run_compacts_in_one_commit(session: ConversationStoreSession) -> None:
    client = Compacts()
    compacted = compacting(session, client, after=4)
    for number in (1, 2, 4):
        await Runner.run(agent(), f"turn {number}", session=compacted, run_config=QUIET)
    assert words(client.inputs[0]) == ["turn 1", "answer to turn 1", "turn 2", "answer to turn 2"]
    items: Any = await session.get_items()
    assert words(items) == ["compaction", "turn 4", "answer to turn 4"]
    version = (await session.store.get_conversation("trip")).version  # type: ignore[misc]
    await compacted.run_compaction({"force": True})
    assert words(await session.get_items()) == ["compaction"]
    assert (await session.store.get_conversation("trip")).version == version + 1  # type: ignore[misc]


async def test_what_has_changed_meanwhile_is_not_compacted(session: ConversationStoreSession) -> None:
    client = Compacts(lambda: session.add_items([user("meanwhile")]))
    compacted = compacting(session, client, after=2)
    await Runner.run(agent(), "turn 1", session=compacted, run_config=QUIET)
    assert len(client.inputs) == 1
    assert words(await session.get_items()) == ["turn 1", "answer to turn 1", "meanwhile"]


@pytest.mark.parametrize("encrypts", [False, True])
async def test_what_has_come_meanwhile_outlives_a_compaction_by_hand(
    session: ConversationStoreSession, encrypts: bool
) -> None:
    def mine(client: Compacts) -> Any:
        compacted = compacting(session, client, after=100)
        return EncryptedSession("trip", compacted, "k" * 40) if encrypts else compacted

    other: Any = ConversationStoreSession("trip", session.store)
    theirs = EncryptedSession("trip", other, "k" * 40) if encrypts else other
    compacted = mine(Compacts(lambda: theirs.add_items([user("meanwhile")])))
    await Runner.run(agent(), "turn 1", session=compacted, run_config=QUIET)
    with pytest.raises(VersionMismatch):
        await compacted.run_compaction({"force": True})
    assert words(await compacted.get_items()) == ["turn 1", "answer to turn 1", "meanwhile"]
    # What others have added before is compacted, too, though the SDK has read the session earlier.
    quiet = mine(Compacts())
    await Runner.run(agent(), "turn 2", session=quiet, run_config=QUIET)
    await theirs.add_items([user("again")])
    await quiet.run_compaction({"force": True})
    assert words(await quiet.get_items()) == ["compaction"]


async def test_only_what_the_model_has_seen_is_compacted(session: ConversationStoreSession) -> None:
    await session.add_items([user(f"old {number}") for number in range(150)])
    client = Compacts()
    compacted = compacting(session, client, after=4)
    limited = RunConfig(tracing_disabled=True, session_settings=SessionSettings(limit=3))
    for number in (1, 2):
        await Runner.run(agent(), f"turn {number}", session=compacted, run_config=limited)
    items: Any = await session.get_items()
    assert words(items[:-1])[:140] == [f"old {number}" for number in range(140)]
    assert items[-1]["type"] == "compaction" and 140 < len(items) < 153


# --- faults


async def test_no_turn_is_lost_doubled_or_out_of_order(base_url: str, owner: str) -> None:
    with faults.front(base_url, seed=1) as front:
        stores = [faults.lasting_async(front.url, owner) for _ in range(2)]
        settings = SessionSettings(limit=20)
        sessions = [ConversationStoreSession("trip", it, session_settings=settings) for it in stores]

        async def turn(worker: int) -> int | None:
            async with sessions[worker].turn() as session:
                said = [it for it in words(await session.get_items(8)) if it.startswith("turn ")]
                number = int(said[-1].split()[1]) + 1 if said else 0
                if number == faults.TURNS:
                    return None
                await Runner.run(agent(), f"turn {number}", session=session, run_config=QUIET)
                return number

        outcomes = await faults.race(turn, VersionMismatch)
        for store in stores:
            await store.aclose()
    assert outcomes["done by 0"] + outcomes["done by 1"] == faults.TURNS and outcomes["VersionMismatch"] > 0
    expected: list[str] = []
    for number in range(faults.TURNS):
        calls = ["weather", "sunny in Lisbon", "answer to sunny in Lisbon"]
        expected += [f"turn {number}", *(calls if number % 3 == 0 else [f"answer to turn {number}"])]
    async with AsyncConversationStore(base_url, owner=owner) as store:
        assert words(await ConversationStoreSession("trip", store).get_items()) == expected


async def test_without_turns_each_change_is_done_once(base_url: str, owner: str) -> None:
    expected: list[str] = []
    with faults.front(base_url, seed=2) as front:
        async with faults.lasting_async(front.url, owner) as store:
            session = ConversationStoreSession("trip", store, session_settings=SessionSettings(limit=20))
            for number in range(1, 40, 3):
                await Runner.run(agent(), f"turn {number}", session=session, run_config=QUIET)
                await session.add_items([user(f"{number} {it}") for it in range(110)])
                assert words([await session.pop_item(), await session.pop_item()]) == [f"{number} 109", f"{number} 108"]
                expected += [f"turn {number}", f"answer to turn {number}", *(f"{number} {it}" for it in range(108))]
            assert words(await session.get_items(10_000)) == expected
