"""Repository and storage for Strands Agents, through its own session managers, against a real server."""

import asyncio
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import faults
import pytest
from strands import Agent, ToolContext, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager
from strands.models import Model
from strands.multiagent import GraphBuilder
from strands.session import (
    FileSessionManager,
    RepositorySessionManager,
    SessionRepository,
    SnapshotSessionManager,
)
from strands.storage import InMemoryStorage, Storage
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from conversation_store import ConversationStore
from conversation_store.strands import ConversationStoreRepository, ConversationStoreStorage


class Script(Model):
    """Looks something up on each third turn, then answers."""

    def update_config(self, **config: Any) -> None:
        pass

    def get_config(self) -> Any:
        return {}

    async def structured_output(self, *_: Any, **more: Any) -> Any:
        raise NotImplementedError
        yield

    async def stream(self, messages: Any, *_: Any, **more: Any) -> AsyncIterable[Any]:
        last = said([messages[-1]])[-1]
        calls = last.startswith("turn ") and int(last.split()[1]) % 3 == 0
        yield {"messageStart": {"role": "assistant"}}
        if calls:
            use = {"name": "look_up", "toolUseId": last.replace(" ", "-")}
            yield {"contentBlockStart": {"start": {"toolUse": use}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": f"answer to {last}"}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if calls else "end_turn"}}


@tool(context=True)
def look_up(tool_context: ToolContext) -> str:
    """Looks something up."""
    state = tool_context.agent.state
    state.set("looked_up", (state.get("looked_up") or 0) + 1)
    return f"result {state.get('looked_up')}"


def said(messages: Any) -> list[str]:
    return [_said(block) for message in messages for block in message["content"]]


def _said(block: Any) -> str:
    if "toolUse" in block:
        return "call"
    return str(block["toolResult"]["content"][0]["text"] if "toolResult" in block else block["text"])


def agent(manager: Any, **more: Any) -> Agent:
    given: dict[str, Any] = {"callback_handler": None, "agent_id": "agent", **more}
    return Agent(model=Script(), tools=[look_up], session_manager=manager, **given)


EXPECTED = ["turn 1", "answer to turn 1", "turn 3", "call", "result 1", "answer to result 1"]


@pytest.fixture
def repository(store: ConversationStore) -> ConversationStoreRepository:
    return ConversationStoreRepository(store)


@pytest.fixture(params=["store", "file"])
def any_repository(request: pytest.FixtureRequest, tmp_path: Path, base_url: str, owner: str) -> Any:
    """Behaviours that Strands' own repository has, too."""
    if request.param == "file":
        return FileSessionManager("other", storage_dir=str(tmp_path))
    return ConversationStoreRepository(ConversationStore(base_url, owner=owner))


# --- what Strands' own tests ask of repositories


def message(number: int, text: Any = "Hello") -> SessionMessage:
    block = text if isinstance(text, dict) else {"text": text}
    return SessionMessage.from_message({"role": "user", "content": [block]}, number)  # type: ignore[list-item]


def opened(repository: SessionRepository, agents: str = "a") -> None:
    repository.create_session(Session("trip", SessionType.AGENT))
    for each in agents:
        repository.create_agent("trip", SessionAgent(each, {"key": "value"}, {}))


def test_sessions_and_agents(any_repository: Any) -> None:
    repository = any_repository
    assert repository.read_session("trip") is None and repository.read_agent("trip", "a") is None
    session = Session("trip", SessionType.AGENT)
    assert repository.create_session(session) == session and repository.read_session("trip") == session
    with pytest.raises(SessionException):
        repository.create_session(session)
    made = SessionAgent("a", {"key": "value", "bytes": b"\0\xff"}, {"removed": 1}, {"interrupt_state": {}})
    repository.create_agent("trip", made)
    assert repository.read_agent("trip", "a") == made and repository.read_agent("trip", "b") is None
    changed = SessionAgent("a", {"key": "other"}, {}, created_at="later")
    repository.update_agent("trip", changed)
    assert repository.read_agent("trip", "a") == changed and changed.created_at == made.created_at
    with pytest.raises(SessionException):
        repository.update_agent("trip", SessionAgent("b", {}, {}))


def test_messages(any_repository: Any) -> None:
    repository = any_repository
    opened(repository, "ab")
    assert repository.list_messages("trip", "a") == [] and repository.read_message("trip", "a", 0) is None
    image = {"image": {"format": "png", "source": {"bytes": b"\0picture\xff"}}}
    messages = [message(number, image if number == 3 else f"text {number}") for number in range(12)]
    for each in messages:
        repository.create_message("trip", "a", each)
        repository.create_message("trip", "b", message(each.message_id, "b"))
    assert repository.list_messages("trip", "a") == messages
    assert repository.list_messages("trip", "a", limit=3) == messages[:3]
    assert repository.list_messages("trip", "a", offset=10) == messages[10:]
    assert repository.list_messages("trip", "a", limit=2, offset=4) == messages[4:6]
    assert repository.list_messages("trip", "a", offset=100) == []
    assert repository.read_message("trip", "a", 3) == messages[3] and repository.read_message("trip", "a", 12) is None
    redacted = message(5, "secret")
    redacted.redact_message = {"role": "user", "content": [{"text": "redacted"}]}
    repository.update_message("trip", "a", redacted)
    assert redacted.created_at == messages[5].created_at
    assert repository.read_message("trip", "a", 5).to_message() == redacted.redact_message
    assert repository.list_messages("trip", "a") == [*messages[:5], redacted, *messages[6:]]
    assert said(it.to_message() for it in repository.list_messages("trip", "b")) == ["b"] * 12
    with pytest.raises(SessionException):
        repository.update_message("trip", "a", message(12))


def test_what_json_has_not_is_kept_as_strands_keeps_it(any_repository: Any) -> None:
    opened(any_repository)
    block = {"toolResult": {"toolUseId": "x", "status": "success", "content": [{"json": {"v": [float("nan"), 1.5]}}]}}
    any_repository.create_message("trip", "a", message(0, block))
    any_repository.create_message("trip", "a", message(1))
    assert str(any_repository.read_message("trip", "a", 0).to_message()["content"]) == str([block])
    deep = {"toolResult": {"toolUseId": "x", "status": "success", "content": [{"json": {"v": nested(150)}}]}}
    any_repository.update_message("trip", "a", message(0, deep))
    listed = any_repository.list_messages("trip", "a")
    assert listed[0].to_message()["content"] == [deep] and listed[1].message_id == 1


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "x"


@pytest.mark.parametrize("name", ["日" * 60, "x" * 200])
def test_names_of_any_length(repository: ConversationStoreRepository, name: str) -> None:
    repository.create_session(Session(name, SessionType.AGENT))
    repository.create_agent(name, SessionAgent(name, {"key": "value"}, {}))
    repository.create_agent(name, SessionAgent(name + "x", {"key": "other"}, {}))
    for agent_id in (name, name + "x"):
        for number in range(2):
            repository.create_message(name, agent_id, message(number, agent_id[-1]))
    with pytest.raises(SessionException, match="another message 1"):
        repository.create_message(name, name, message(1))
    assert said(it.to_message() for it in repository.list_messages(name, name + "x")) == ["x"] * 2
    stored = repository.read_agent(name, name)
    assert stored and stored.state == {"key": "value"} and len(repository.list_messages(name, name)) == 2
    repository.update_message(name, name, message(1, "changed"))
    assert said(it.to_message() for it in repository.list_messages(name, name))[1] == "changed"


def test_orchestrators(any_repository: Any) -> None:
    repository = any_repository
    repository.create_session(Session("trip", SessionType.AGENT))
    multi = Mock(id="graph")
    multi.serialize_state.return_value = {"step": 1}
    assert repository.read_multi_agent("trip", "graph") is None
    with pytest.raises(SessionException):
        repository.update_multi_agent("trip", multi)
    repository.create_multi_agent("trip", multi)
    multi.serialize_state.return_value = {"step": 2}
    repository.update_multi_agent("trip", multi)
    assert repository.read_multi_agent("trip", "graph") == {"step": 2}


def test_long_sessions_and_large_messages(repository: ConversationStoreRepository) -> None:
    opened(repository)
    messages = [message(number, "x" * 1_000_000 if number in (3, 200) else f"{number}") for number in range(205)]
    for each in messages:
        repository.create_message("trip", "a", each)
    assert repository.list_messages("trip", "a", offset=2, limit=2) == messages[2:4]
    assert repository.list_messages("trip", "a", offset=199) == messages[199:]
    for number, text in ((200, "y" * 1_000_000), (200, "short"), (50, "z" * 300_000)):
        messages[number] = message(number, text)
        repository.update_message("trip", "a", messages[number])
        assert repository.list_messages("trip", "a") == messages


# --- managers


def test_an_agent_goes_on_where_it_was(repository: ConversationStoreRepository, store: ConversationStore) -> None:
    for number in (1, 3):
        agent(RepositorySessionManager("trip", repository))(f"turn {number}")
    again = agent(RepositorySessionManager("trip", repository))
    assert said(again.messages) == EXPECTED and again.state.get("looked_up") == 1
    assert store.get_conversation("trip").message_count == 6
    # Another agent of the session has its own messages.
    other = agent(RepositorySessionManager("trip", repository), agent_id="other", messages=[message(0).message])
    assert said(agent(RepositorySessionManager("trip", repository), agent_id="other").messages) == ["Hello"]
    other("turn 2")
    assert said(agent(RepositorySessionManager("trip", repository)).messages) == EXPECTED


@pytest.mark.parametrize("window", [2, 4])
def test_what_a_window_left_out_is_not_read(repository: ConversationStoreRepository, window: int) -> None:
    for number in (1, 2, 4, 5):
        manager = SlidingWindowConversationManager(window_size=window)
        one = agent(RepositorySessionManager("trip", repository), conversation_manager=manager)
        one(f"turn {number}")
    restored = agent(
        RepositorySessionManager("trip", repository),
        conversation_manager=SlidingWindowConversationManager(window_size=window),
    )
    assert restored.messages == one.messages and len(one.messages) <= window
    assert len(repository.list_messages("trip", "agent")) == 8


def test_an_agent_with_a_summary(repository: ConversationStoreRepository) -> None:
    def made() -> Agent:
        manager = SummarizingConversationManager(preserve_recent_messages=2, summary_ratio=0.8)
        return agent(RepositorySessionManager("trip", repository), conversation_manager=manager)

    one = made()
    for number in (1, 2, 4):
        one(f"turn {number}")
    one.conversation_manager.reduce_context(one)
    one("turn 5")
    assert made().messages == one.messages and len(one.messages) == 5


def test_a_redaction_is_stored(repository: ConversationStoreRepository, store: ConversationStore) -> None:
    manager = RepositorySessionManager("trip", repository)
    one = agent(manager)
    one("turn 1")
    redacted: Any = {"role": "assistant", "content": [{"text": "redacted"}]}
    manager.redact_latest_message(redacted, one)
    assert said(agent(RepositorySessionManager("trip", repository)).messages) == ["turn 1", "redacted"]


def test_a_stale_agent_is_refused(repository: ConversationStoreRepository) -> None:
    agent(RepositorySessionManager("trip", repository))("turn 1")
    first, second = (agent(RepositorySessionManager("trip", repository)) for _ in range(2))
    first("turn 2")
    with pytest.raises(SessionException, match="another message 2"):
        second("turn 4")
    agent(RepositorySessionManager("trip", repository))("turn 5")
    assert said(agent(RepositorySessionManager("trip", repository)).messages)[2::2] == ["turn 2", "turn 5"]


def test_what_others_have_changed_of_state_stays(store: ConversationStore) -> None:
    mine, theirs = (ConversationStoreRepository(store) for _ in range(2))
    opened(mine)
    mine.update_agent("trip", SessionAgent("a", {"key": "value", "gone": 1, "both": 1}, {"removed": 1}))
    theirs.read_agent("trip", "a")
    theirs.update_agent("trip", SessionAgent("a", {"key": "theirs", "gone": 1, "both": 2, "new": 1}, {"removed": 1}))
    mine.update_agent("trip", SessionAgent("a", {"key": "value", "both": 3}, {"removed": 2}))
    stored = theirs.read_agent("trip", "a")
    assert stored and stored.state == {"key": "theirs", "both": 3, "new": 1}
    assert stored.conversation_manager_state == {"removed": 2}


def test_a_graph(repository: ConversationStoreRepository) -> None:
    def graph() -> Any:
        builder = GraphBuilder()
        builder.add_node(Agent(model=Script(), callback_handler=None, agent_id="one"), "one")
        builder.set_session_manager(RepositorySessionManager("trip", repository))
        return builder.build()

    assert graph()("turn 1").status.value == "completed"
    assert repository.read_multi_agent("trip", graph().id)


# --- storage


@pytest.fixture(params=["conversation", "owner", "memory"])
def storage(request: pytest.FixtureRequest, base_url: str, owner: str) -> Any:
    """Behaviours that Strands' own storage has, too."""
    if request.param == "memory":
        return InMemoryStorage()
    store = ConversationStore(base_url, owner=owner)
    return ConversationStoreStorage(store, "trip" if request.param == "conversation" else None)


async def check_storage(storage: Any) -> None:
    assert isinstance(storage, Storage)
    assert await storage.read("a/b") is None and await storage.list("") == []
    await storage.delete("a/b")
    for key, data in (("b", b""), ("a/b", b"\0\xff" * 1000), ("a/c d/ü?#%", b"1"), ("a/b", b"2"), ("ab", b"3")):
        await storage.write(key, data)
        assert await storage.read(key) == data
    assert await storage.list("") == ["a/b", "a/c d/ü?#%", "ab", "b"] and await storage.list("a/") == [
        "a/b",
        "a/c d/ü?#%",
    ]
    await storage.delete("a/b")
    assert await storage.read("a/b") is None and await storage.list("a") == ["a/c d/ü?#%", "ab"]
    await storage.write("found", b"the quick brown fox")
    assert [it.key for it in await storage.search("quick fox")] == ["found"]


def test_storage(storage: Any) -> None:
    asyncio.run(check_storage(storage))


def test_snapshots(store: ConversationStore) -> None:
    def manager() -> SnapshotSessionManager:
        storage = ConversationStoreStorage(store, "trip", conditional=True)
        return SnapshotSessionManager("trip", storage=storage, snapshot_trigger=lambda **_: True)

    store.put_record("trip", "mine", "x")
    for number in (1, 3):
        agent(manager())(f"turn {number}")
    last = manager()
    one = agent(last)
    assert said(one.messages) == EXPECTED and one.state.get("looked_up") == 1

    async def travel() -> None:
        first, _ = await last.list_snapshot_ids(one)
        assert await last.restore_snapshot(one, snapshot_id=first) and said(one.messages) == EXPECTED[:2]
        await last.delete_session()

    asyncio.run(travel())
    assert [it.key for it in store.list_records("trip").data] == ["mine"]


def test_a_storage_and_a_repository_may_share_a_conversation(
    repository: ConversationStoreRepository, store: ConversationStore
) -> None:
    opened(repository)
    storage = ConversationStoreStorage(store, "trip")

    async def use() -> None:
        assert await storage.list("") == []
        for key in ("session", "agent/a"):
            await storage.write(key, b"mine")
            await storage.delete(key)

    asyncio.run(use())
    assert repository.read_session("trip") and repository.read_agent("trip", "a")


def test_a_stale_snapshot_is_refused(store: ConversationStore) -> None:
    def made() -> Agent:
        storage = ConversationStoreStorage(store, "trip", conditional=True)
        return agent(SnapshotSessionManager("trip", storage=storage))

    first, second = made(), made()
    first("turn 1")
    with pytest.raises(StorageError):
        second("turn 2")
    assert said(made().messages) == EXPECTED[:2]


# --- faults


def numbers(messages: Any) -> list[int]:
    return [int(it.split()[1]) for it in said(messages) if it.startswith("turn ")]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["messages", "snapshots"])
async def test_no_turn_is_lost_doubled_or_out_of_order(base_url: str, owner: str, kind: str) -> None:
    def manager(store: ConversationStore) -> Any:
        if kind == "messages":
            return RepositorySessionManager("trip", ConversationStoreRepository(store))
        return SnapshotSessionManager("trip", storage=ConversationStoreStorage(store, "trip", conditional=True))

    def made(store: ConversationStore) -> Agent:
        window = SlidingWindowConversationManager(window_size=12)
        return agent(manager(store), **({"conversation_manager": window} if kind == "messages" else {}))

    with faults.front(base_url, seed=5) as front:
        stores = [faults.lasting(front.url, owner) for _ in range(2)]

        def take(worker: int) -> int | None:
            one = made(stores[worker])
            if one.messages and not said(one.messages)[-1].startswith("answer"):
                raise SessionException  # The other worker is at it.
            number = max(numbers(one.messages), default=-1) + 1
            if number == faults.TURNS:
                return None
            one(f"turn {number}")
            return number

        async def turn(worker: int) -> int | None:
            return await asyncio.to_thread(take, worker)

        outcomes = await faults.race(turn, SessionException, StorageError)
        for store in stores:
            store.close()
    assert outcomes["done by 0"] + outcomes["done by 1"] == faults.TURNS and len(outcomes) > 2
    expected: list[str] = []
    for number in range(faults.TURNS):
        result = f"result {number // 3 + 1}"
        expected += [f"turn {number}", *(["call", result, f"answer to {result}"] if number % 3 == 0 else [])]
        expected += [] if number % 3 == 0 else [f"answer to turn {number}"]
    with ConversationStore(base_url, owner=owner) as store:
        if kind == "messages":
            stored = ConversationStoreRepository(store).list_messages("trip", "agent")
            assert said(it.to_message() for it in stored) == expected
        else:
            assert said(made(store).messages) == expected[-len(made(store).messages) :]
        assert made(store).state.get("looked_up") == faults.TURNS // 3 + 1
