"""The store of Pydantic AI, through its own agents, against a real server; its store in memory is held to the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import faults
import httpx
import pytest
from pydantic_ai import Agent, BinaryContent, DeferredToolRequests, DeferredToolResults, ModelResponse, RunContext
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict, ConversationStore, InMemoryConversationStore
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import UsageLimits

from conversation_store import AsyncConversationStore
from conversation_store.pydantic_ai import ConversationStoreBackend

pytestmark = pytest.mark.anyio


def said(messages: Any) -> list[str]:
    return [
        part.tool_name if isinstance(part, ToolCallPart) else part.content if isinstance(part.content, str) else "..."
        for message in messages
        for part in message.parts
    ]


def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Looks something up on each third turn, then answers."""
    last = said(messages)[-1]
    if last.startswith("turn ") and int(last.split()[1]) % 3 == 0:
        return ModelResponse(parts=[ToolCallPart("look_up", {}, tool_call_id=last)])
    if last == "please":
        return ModelResponse(parts=[ToolCallPart("pay", {"sum": 7}, tool_call_id="pay")])
    return ModelResponse(parts=[TextPart(f"answer to {last}")])


agent = Agent(FunctionModel(script), output_type=[str, DeferredToolRequests])


@agent.tool
def look_up(context: RunContext[object]) -> str:
    return f"result {context.usage.requests}"


@agent.tool_plain(requires_approval=True)
def pay(sum: int) -> str:
    return f"paid {sum}"


@pytest.fixture(params=["store", "memory"])
async def store(request: pytest.FixtureRequest, base_url: str, owner: str) -> AsyncIterator[ConversationStore]:
    """Behaviours that Pydantic AI's own store has, too."""
    if request.param == "memory":
        yield InMemoryConversationStore()
    else:
        async with AsyncConversationStore(base_url, owner=owner) as client:
            yield ConversationStoreBackend(client)


async def take(store: ConversationStore, text: str, id: str = "trip", **more: Any) -> Conversation:
    conversation = await store.load(id) or Conversation(conversation_id=id)
    result = await agent.run(text, conversation=conversation, **more)
    await store.save(result)
    ended: Conversation = result.conversation
    return ended


async def loaded(store: ConversationStore, id: str = "trip", **more: Any) -> list[str]:
    conversation = await store.load(id, **more)
    return said(conversation.messages) if conversation else []


FIRST = ["turn 1", "answer to turn 1"]
HELLO = {"role": "user", "content": "Hello!"}


async def test_a_conversation_goes_on(store: ConversationStore) -> None:
    assert await store.load("trip") is None and await store.load_entries("trip") is None
    await take(store, "turn 1")
    conversation = await take(store, "turn 3")
    again = await store.load("trip")
    assert again == conversation and again.usage.requests == 3 and again.usage.tool_calls == 1
    assert said(again.messages) == [*FIRST, "turn 3", "look_up", "result 2", "answer to result 2"]
    assert await loaded(store, limit=2) == ["result 2", "answer to result 2"] and await loaded(store, limit=0) == []
    # A window is continued, too.
    window = await store.load("trip", limit=2)
    result = await agent.run("turn 4", conversation=window)
    entries = await store.save(result)
    assert said(it.message for it in entries) == ["turn 4", "answer to turn 4"]
    assert len(await loaded(store)) == 8 and await loaded(store) == said(
        it.message for it in await store.load_entries("trip") or []
    )
    assert [it.id for it in (await store.load_entries("trip") or [])[-2:]] == [it.id for it in entries]
    assert await store.save(result) == []


async def test_a_paused_run_is_resumed_elsewhere(store: ConversationStore) -> None:
    await take(store, "please")
    paused = await store.load("trip")
    assert paused and paused.deferred_tool_requests and paused.deferred_tool_requests.approvals[0].args == {"sum": 7}
    approved = DeferredToolResults(approvals={"pay": True})
    result = await agent.run(conversation=paused, deferred_tool_results=approved)
    await store.save(result)
    assert await loaded(store) == ["please", "pay", "paid 7", "answer to paid 7"]
    done = await store.load("trip")
    assert done and done.deferred_tool_requests is None


async def test_a_stale_conversation_is_refused(store: ConversationStore) -> None:
    first = Conversation(conversation_id="trip")
    await store.save(await agent.run("turn 1", conversation=first))
    with pytest.raises(ConversationConflict):  # It is there already.
        await store.save(await agent.run("turn 2", conversation=Conversation(conversation_id="trip")))
    one, two = await store.load("trip"), await store.load("trip")
    await store.save(await agent.run("turn 2", conversation=one))
    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("turn 4", conversation=two))
    assert await loaded(store) == [*FIRST, "turn 2", "answer to turn 2"]
    with pytest.raises(ConversationConflict):
        await store.branch("trip", at=2, expected_revision=two.revision if two else None)


async def test_branches(store: ConversationStore) -> None:
    await take(store, "turn 1")
    left = await take(store, "turn 2")
    tip = (await store.load_entries("trip") or [])[-1].id
    branched = await store.branch("trip", at=2, expected_revision=left.revision)
    assert said(branched.messages) == FIRST == await loaded(store)
    await store.save(await agent.run("turn 4", conversation=branched))
    record = await store.read_record("trip")
    assert record and record.branches == [tip] and await loaded(store) == [*FIRST, "turn 4", "answer to turn 4"]
    back = await store.branch("trip", from_entry=tip, expected_revision=record.revision)
    assert said(back.messages) == [*FIRST, "turn 2", "answer to turn 2"] == await loaded(store)
    with pytest.raises(UserError):
        await store.branch("trip", at=9, expected_revision=back.revision)
    # A history that was rewritten leaves the old one as a branch.
    rewritten = Conversation(conversation_id="trip", messages=back.messages[2:], revision=back.revision)
    await store.save(rewritten)
    assert await loaded(store) == ["turn 2", "answer to turn 2"]
    assert len((await store.read_record("trip")).branches) == 2  # type: ignore[union-attr]


async def test_forks(store: ConversationStore) -> None:
    await take(store, "turn 1")
    await take(store, "turn 2")
    fork = await store.fork("trip", at=2, new_conversation_id="fork", scope="ann")
    assert said(fork.messages) == FIRST and fork.usage.requests == 0
    whole = await store.fork("trip")
    assert len(whole.messages) == 4 and whole.usage.requests == 2
    await store.save(await agent.run("turn 5", conversation=fork))
    await take(store, "turn 4")
    assert await loaded(store, "fork") == [*FIRST, "turn 5", "answer to turn 5"] and len(await loaded(store)) == 6
    with pytest.raises(ConversationConflict):
        await store.fork("trip", new_conversation_id="fork")
    empty = await store.fork("trip", at=0)
    assert await loaded(store, empty.conversation_id) == []
    second = await store.fork("fork", at=3)
    await store.delete("trip")
    assert await store.load("trip") is None
    for id, length in (("fork", 4), (second.conversation_id, 3), (whole.conversation_id, 4)):
        assert len(await loaded(store, id)) == length
    record = await store.read_record("fork")
    assert record and (record.forked_from, record.scope) == ("trip", "ann") and record.forked_at


async def test_lists_and_scopes(store: ConversationStore) -> None:
    for number, id in enumerate(("a", "b/ü", "c")):
        result = await agent.run("turn 1", conversation=Conversation(conversation_id=id))
        await store.save(result, scope="ann" if number < 2 else "bob")
    await take(store, "turn 2", "a")
    assert [it.conversation_id for it in await store.list_conversations()] == ["a", "c", "b/ü"]
    assert [it.conversation_id for it in await store.list_conversations(scope="ann")] == ["a", "b/ü"]
    assert [it.conversation_id for it in await store.list_conversations(limit=1)] == ["a"]
    assert await store.load("a", scope="bob") is None and await store.load("a", scope="ann")
    await store.delete("a", scope="bob")
    assert await loaded(store, "a")
    await store.delete("a")
    await store.delete("a")
    assert await loaded(store, "a") == []
    assert [it.conversation_id for it in await store.list_conversations()] == ["c", "b/ü"]


async def test_a_deleted_conversation_may_begin_again(store: ConversationStore) -> None:
    old = await take(store, "turn 1")
    await store.delete("trip")
    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("turn 2", conversation=old))
    await take(store, "turn 4")
    assert await loaded(store) == ["turn 4", "answer to turn 4"]
    with pytest.raises(ConversationConflict):
        await store.delete_record("trip", expected_revision=old.revision or "")


async def test_however_much_is_one_commit(store: ConversationStore) -> None:
    messages = (await take(store, "turn 1", "other")).messages
    many = Conversation(conversation_id="trip", messages=messages * 150)
    entries = await store.save(many)
    assert len(entries) == 300 and await loaded(store) == FIRST * 150
    assert await loaded(store, limit=3) == (FIRST * 2)[1:]
    picture = BinaryContent(data=b"\0picture\xff" * 100_000, media_type="application/pdf")
    result = await agent.run(["turn 2", picture, "turn 4"], conversation=await store.load("trip"))
    await store.save(result)
    last = await store.load("trip", limit=2)
    assert last and last.messages == result.conversation.messages[-2:]
    fork = await store.fork("trip", at=301)
    assert len(fork.messages) == 301 and len(await loaded(store, fork.conversation_id)) == 301
    entry = (await store.load_entries("trip") or [])[250]
    assert await store.read_entry(entry.id) == entry
    with pytest.raises(LookupError):
        await store.read_entry(str(uuid4()))


async def test_messages_of_others_are_not_touched_by_a_save(async_store: AsyncConversationStore) -> None:
    store = ConversationStoreBackend(async_store)
    await async_store.add_messages("trip", [{"role": "user", "content": "Hello!"}])
    await take(store, "turn 1")
    await async_store.add_messages("trip", [{"role": "user", "content": "Hello!"}])
    await take(store, "turn 2")
    assert await loaded(store) == [*FIRST, "turn 2", "answer to turn 2"]
    assert (await async_store.get_conversation("trip")).message_count == 6


async def test_a_conversation_of_others_is_listed_once_it_is_saved(async_store: AsyncConversationStore) -> None:
    store = ConversationStoreBackend(async_store)
    await async_store.create_conversation(id="trip", metadata={"channel": "web"}, messages=[HELLO])
    await take(store, "turn 1")
    assert [it.conversation_id for it in await store.list_conversations()] == ["trip"]
    assert (await async_store.get_conversation("trip")).metadata == {"channel": "web", "pydantic_ai": "1"}


async def test_a_conversation_that_is_saved_while_others_are_listed_is_listed(base_url: str, owner: str) -> None:
    class Saving(httpx.AsyncHTTPTransport):
        """Saves the oldest conversation after the first page of a list."""

        save: Any = None

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            if self.save and request.url.path == "/v1/conversations" and request.method == "GET":
                save, self.save = self.save, None
                await answer.aread()
                await save()
            return answer

    transport = Saving()
    async with AsyncConversationStore(base_url, owner=owner, transport=transport) as client:
        store = ConversationStoreBackend(client)
        for number in range(101):
            await store.save(Conversation(conversation_id=f"c{number}"))

        async def save() -> None:
            await take(ConversationStoreBackend(client), "turn 1", "c0")

        transport.save = save
        listed = await store.list_conversations()
        assert len(listed) == 101 and transport.save is None and listed[0].conversation_id == "c0"


async def test_a_fork_may_have_the_id_of_a_deleted_conversation(store: ConversationStore) -> None:
    await take(store, "turn 1")
    await take(store, "turn 2")
    await store.fork("trip", new_conversation_id="fork")
    await store.delete("trip")
    back = await store.fork("fork", new_conversation_id="trip", at=3)
    assert said(back.messages) == [*FIRST, "turn 2"] == await loaded(store)
    entries = await store.load_entries("trip") or []
    assert [it.id for it in entries] == [it.id for it in await store.load_entries("fork") or []][:3]
    await store.save(await agent.run("turn 5", conversation=await store.load("trip")))
    assert await loaded(store) == [*FIRST, "turn 2", "turn 5", "answer to turn 5"]
    tip = entries[-1].id
    branched = await store.branch("trip", at=1, expected_revision=(await store.read_record("trip")).revision)  # type: ignore[union-attr]
    assert said(branched.messages) == FIRST[:1]
    with pytest.raises(ConversationConflict):
        await store.fork("fork", new_conversation_id="trip")
    again = await store.branch("trip", from_entry=tip, expected_revision=branched.revision)
    assert len(again.messages) == 3
    await store.delete("trip")
    assert (await store.fork("fork", new_conversation_id="trip", at=0)).messages == []
    assert await store.load("trip") and len(await store.list_conversations()) == 2


async def test_a_fork_into_a_conversation_of_others(async_store: AsyncConversationStore) -> None:
    store = ConversationStoreBackend(async_store)
    await take(store, "turn 1")
    await async_store.add_messages("there", [HELLO])
    await store.fork("trip", new_conversation_id="there")
    assert await loaded(store, "there") == FIRST
    assert {it.conversation_id for it in await store.list_conversations()} == {"trip", "there"}


async def test_a_long_history_puts_out_none_that_is_at_hand(
    async_store: AsyncConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversation_store.pydantic_ai._HOMES", 8)
    messages = (await take(ConversationStoreBackend(async_store), "turn 1", "short")).messages
    await ConversationStoreBackend(async_store).save(Conversation(conversation_id="long", messages=messages * 10))
    store = ConversationStoreBackend(async_store)
    record = await store.read_record("short")
    assert len((await store.load("long")).messages) == 20  # type: ignore[union-attr]
    assert record and len(await store.read_history(record.head_id)) == 2
    ids = ["short", "long"] * 4
    assert [len((await store.load(id)).messages) for id in ids] == [2, 20] * 4  # type: ignore[union-attr]
    found = await asyncio.gather(*map(store.load, ids))
    assert [len(it.messages) for it in found if it] == [2, 20] * 4
    long = await store.load("long")
    branched = await store.branch("long", at=18, expected_revision=long.revision if long else None)
    tip = (await store.read_record("long")).branches[0]  # type: ignore[union-attr]
    back = await store.branch("long", from_entry=tip, expected_revision=branched.revision)
    assert len(back.messages) == 20
    with pytest.raises(LookupError, match="load its conversation"):
        await ConversationStoreBackend(async_store).read_entry(tip)


@pytest.mark.parametrize("id", ["日" * 60, "x" * 400])
async def test_ids_of_any_length(store: ConversationStore, id: str) -> None:
    await take(store, "turn 1", id)
    assert [it.conversation_id for it in await store.list_conversations()] == [id]
    assert await loaded(store, id) == FIRST


async def test_one_of_many_saves(store: ConversationStore) -> None:
    await take(store, "turn 1")
    results = [await agent.run("turn 2", conversation=await store.load("trip")) for _ in range(5)]
    saves = await asyncio.gather(*map(store.save, results), return_exceptions=True)
    assert sorted(type(it).__name__ for it in saves) == ["ConversationConflict"] * 4 + ["list"]
    assert len(await loaded(store)) == 4


# --- faults


async def test_no_turn_is_lost_doubled_or_out_of_order(base_url: str, owner: str) -> None:
    with faults.front(base_url, seed=6) as front:
        clients = [faults.lasting_async(front.url, owner) for _ in range(2)]
        stores = [ConversationStoreBackend(it) for it in clients]

        async def turn(worker: int) -> int | None:
            conversation = await stores[worker].load("trip", limit=8) or Conversation(conversation_id="trip")
            taken = [int(it.split()[1]) for it in said(conversation.messages) if it.startswith("turn ")]
            number = taken[-1] + 1 if taken else 0
            if number == faults.TURNS:
                return None
            unlimited = UsageLimits(request_limit=None)
            result = await agent.run(f"turn {number}", conversation=conversation, usage_limits=unlimited)
            await stores[worker].save(result)
            return number

        outcomes = await faults.race(turn, ConversationConflict)
        for client in clients:
            await client.aclose()
    assert outcomes["done by 0"] + outcomes["done by 1"] == faults.TURNS and outcomes["ConversationConflict"] > 0
    async with AsyncConversationStore(base_url, owner=owner) as client:
        conversation = await ConversationStoreBackend(client).load("trip")
    assert conversation and conversation.usage.tool_calls == faults.TURNS // 3 + 1
    turns = [it for it in said(conversation.messages) if it.startswith("turn ")]
    assert turns == [f"turn {number}" for number in range(faults.TURNS)]
    assert len(conversation.messages) == 2 * faults.TURNS + 2 * (faults.TURNS // 3 + 1)
    answers = said(conversation.messages[1::1])
    for at, text in enumerate(said(conversation.messages)):
        if text.startswith("turn "):
            assert answers[at] == ("look_up" if int(text.split()[1]) % 3 == 0 else f"answer to {text}")
