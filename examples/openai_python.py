#!/usr/bin/env python3
"""Use the store through the stock OpenAI SDKs and check that they find what they expect.

    pip install openai openai-agents
    python3 examples/openai_python.py                     # beside a running `make run`
    python3 examples/openai_python.py --url https://...   # any other deployment; OPENAI_API_KEY is its token

Nothing but `base_url` tells the SDKs that this is not OpenAI. Every answer is validated against the SDK's own models.
Each phase below is one function and one line of output; the first assertion that fails ends the run.
"""

import argparse
import asyncio
import json
import os
import time
import typing
from pathlib import Path

import openai
from agents import Agent, ModelResponse, OpenAIConversationsSession, RunConfig, Runner, Usage, function_tool
from agents import set_tracing_disabled
from agents.models.interface import Model
from openai import AsyncOpenAI, OpenAI
from openai.types.conversations import Conversation, ConversationItem, ConversationItemList, Message
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseFunctionToolCallItem,
    ResponseFunctionToolCallOutputItem,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)


def user(text, **more):
    return {"role": "user", "content": text, **more}


def text_of(item):
    return "".join(part.text for part in item.content)


def conversations(client):
    """Every method of client.conversations."""
    created = client.conversations.create(metadata={"topic": "trip"}, items=[user("hi")])
    assert isinstance(created, Conversation) and created.id.startswith("conv_"), created
    assert created.metadata == {"topic": "trip"} and abs(created.created_at - time.time()) < 3600, created
    assert client.conversations.retrieve(created.id).metadata == created.metadata
    updated = client.conversations.update(created.id, metadata={"topic": "food"})
    assert updated.id == created.id and updated.metadata == {"topic": "food"}, updated
    assert text_of(client.conversations.items.list(created.id).data[0]) == "hi"
    deleted = client.conversations.delete(created.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (created.id, "conversation.deleted", True), deleted
    assert client.conversations.create().metadata == {}
    return "created, retrieved, updated, deleted"


# An item of each kind that the API knows, with no more than a caller has to send.
ITEMS = json.loads(Path(__file__).with_name("openai_items.json").read_text())


def includes(whole, part):
    """Whether all that was sent is there. What is there beside it the store or the SDK has filled in."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(includes(whole.get(key), value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(includes, whole, part))
    return whole == part


def item_types(client):
    """Items of every kind come back as they were sent, and are what the SDK takes them for."""
    conversation = client.conversations.create().id
    answered = []
    for at in range(0, len(ITEMS), 20):
        added = client.conversations.items.create(conversation, items=ITEMS[at : at + 20])
        assert isinstance(added, ConversationItemList) and not added.has_more, added
        assert [added.first_id, added.last_id] == [added.data[0].id, added.data[-1].id]
        answered += added.data
    listed = client.conversations.items.list(
        conversation, order="asc", limit=100, include=["message.output_text.logprobs", "reasoning.encrypted_content"]
    ).data
    assert [item.to_dict() for item in listed] == [item.to_dict() for item in answered]
    union = typing.get_args(typing.get_args(ConversationItem)[0])
    assert {type(item) for item in listed} == set(union), set(union) - {type(item) for item in listed}
    for sent, item in zip(ITEMS, listed):
        assert item.type == sent.get("type", "message"), (sent, item)
        sent = {key: value for key, value in sent.items() if not isinstance(value, str) or key != "content"}
        assert includes(item.to_dict(), sent), (sent, item)
        one = client.conversations.items.retrieve(item.id, conversation_id=conversation)
        assert type(one) is type(item) and one == item, (one, item)
    kinds = [type(item) for item in listed]
    assert kinds[:5] == [Message] * 5 and text_of(listed[0]) == "easy" and text_of(listed[3]) == "an answer"
    expected = [ResponseFunctionToolCallItem, ResponseFunctionToolCallOutputItem, ResponseReasoningItem]
    assert kinds[5:8] == expected, kinds
    left = client.conversations.items.delete(listed[1].id, conversation_id=conversation)
    assert isinstance(left, Conversation) and left.id == conversation, left
    left = [item for item in listed if item is not listed[1]]
    assert list(client.conversations.items.list(conversation, order="asc")) == left
    for item in client.conversations.items.list(conversation):
        client.conversations.items.delete(item.id, conversation_id=conversation)
    assert list(client.conversations.items.list(conversation)) == []
    return f"{len(ITEMS)} items of {len(union)} kinds"


def both_views(client):
    """Messages that others added as Chat Completions read as items, and items read as messages."""
    conversation = client.conversations.create().id
    path = f"/conversations/{conversation}/messages"
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "name": "ann", "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "data:,"}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a boat"},
        {"role": "assistant", "content": "A boat.", "refusal": None},
    ]
    client.post(path, body={"messages": messages}, cast_to=object)
    items = client.conversations.items.list(conversation, order="asc").data
    assert [item.type for item in items] == [
        "message", "message", "function_call", "function_call_output", "message"
    ], items
    assert text_of(items[0]) == "be kind" and items[1].content[1].image_url == "data:,"
    assert (items[2].call_id, items[2].name, items[3].output) == ("call_1", "f", "a boat")
    assert text_of(items[4]) == "A boat." and items[4].content[0].annotations == []
    added = client.conversations.items.create(conversation, items=[user("and this?")])
    last = client.get(path, cast_to=object)["data"][-1]
    assert (last["content"], last["id"], last["seq"]) == ("and this?", added.first_id, 6), last
    return "5 messages as items, an item as a message"


def paging(client):
    """A thousand items, one after the other, in both orders."""
    conversation = client.conversations.create().id
    texts = [f"item {n}" for n in range(1000)]
    for at in range(0, 1000, 20):
        items = [user(text) for text in texts[at : at + 20]]
        assert len(client.conversations.items.create(conversation, items=items).data) == 20
    for order, limit in [("asc", openai.omit), ("desc", openai.omit), ("asc", 100), ("desc", 73)]:
        seen = [text_of(item) for item in client.conversations.items.list(conversation, order=order, limit=limit)]
        assert seen == (texts if order == "asc" else texts[::-1]), (order, limit, len(seen))
    newest = client.conversations.items.with_raw_response.list(conversation)
    assert newest.headers["cache-status"] == "redis; hit", newest.headers
    page = newest.parse()
    assert [len(page.data), page.has_more, text_of(page.data[0])] == [20, True, "item 999"], page
    return "1000 items, asc and desc"


def raises(kind, call):
    try:
        call()
    except openai.APIStatusError as error:
        assert type(error) is kind, error
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def errors(client):
    """What goes wrong is raised as what it is, and what cannot succeed is not tried again."""
    items = client.conversations.items
    conversation = client.conversations.create().id
    items.create(conversation, items=[user("x", id="once")])
    again = items.create(conversation, items=[user("x", id="once")])
    assert len(items.list(conversation).data) == 1 and again.first_id == "once"

    for call in [
        lambda: client.conversations.retrieve("conv_none"),
        lambda: client.conversations.update("conv_none", metadata={}),
        lambda: client.conversations.delete("conv_none"),
        lambda: items.list("conv_none"),
        lambda: items.create("conv_none", items=[user("x")]),
        lambda: items.retrieve("msg_none", conversation_id=conversation),
        lambda: items.delete("msg_none", conversation_id=conversation),
    ]:
        error = raises(openai.NotFoundError, call)
        assert error.status_code == 404 and error.type == "not_found_error", error.body
    for call, param in [
        (lambda: items.create(conversation, items=[user("x")] * 21), "items"),
        (lambda: client.conversations.create(items=[user("x")] * 21), "items"),
        (lambda: items.create(conversation, items=[{"role": "bot", "content": "x"}]), "items[0].role"),
        (lambda: client.conversations.update(conversation, metadata={"k" * 65: ""}), "metadata"),
        (lambda: items.list(conversation, limit=101), "limit"),
        (lambda: items.list(conversation, after="msg_none"), "after"),
    ]:
        error = raises(openai.BadRequestError, call)
        assert error.param == param and error.type == "invalid_request_error", error.body

    sent = []
    http_client = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    counted = client.with_options(http_client=http_client, max_retries=2)
    conflict = raises(
        openai.ConflictError,
        lambda: counted.conversations.items.create(conversation, items=[user("y", id="once")]),
    )
    assert conflict.code == "message_conflict" and len(sent) == 1, (conflict, sent)
    return "NotFoundError, BadRequestError, ConflictError"


class Script(Model):
    """A model that answers what it was given, and remembers what it was asked."""

    def __init__(self, *outputs):
        self.outputs, self.inputs = list(outputs), []

    async def get_response(self, system_instructions, input, *rest, **more):
        self.inputs.append(input)
        return ModelResponse(output=self.outputs.pop(0), usage=Usage(), response_id=None)

    def stream_response(self, *rest, **more):
        raise NotImplementedError


def says(text):
    part = ResponseOutputText(type="output_text", text=text, annotations=[])
    return [ResponseOutputMessage(id="msg_1", type="message", role="assistant", status="completed", content=[part])]


@function_tool
def weather(city: str) -> str:
    return f"sunny in {city}"


async def agents(url, key):
    """Two agents share a conversation through sessions of their own."""
    client = AsyncOpenAI(base_url=url, api_key=key, _strict_response_validation=True)
    calls = [
        ResponseFunctionToolCall(type="function_call", id="fc_1", call_id="c1", name="weather", arguments='{"city":"Lisbon"}'),
        ResponseFunctionToolCall(type="function_call", id="fc_2", call_id="c2", name="weather", arguments='{"city":"Porto"}'),
    ]
    first, second = Script(calls, says("Sunny in both.")), Script(says("Take the train."), says("At nine."))
    guide = Agent(name="guide", model=first, tools=[weather])
    planner = Agent(name="planner", model=second)
    quiet = RunConfig(tracing_disabled=True)

    session = OpenAIConversationsSession(openai_client=client)
    result = await Runner.run(guide, "How is the weather?", session=session, run_config=quiet)
    assert result.final_output == "Sunny in both."
    shared = OpenAIConversationsSession(conversation_id=session.session_id, openai_client=client)
    result = await Runner.run(planner, "How do I get there?", session=shared, run_config=quiet)
    assert result.final_output == "Take the train."
    result = await Runner.run(planner, "And when?", session=shared, run_config=quiet)

    # What the second one was asked with is all that the first one said and did.
    seen = [item.get("type", "message") for item in second.inputs[1]]
    calls, outputs = ["function_call"] * 2, ["function_call_output"] * 2
    assert seen == ["message", *calls, *outputs, "message", "message", "message", "message"], seen
    assert [item["output"] for item in second.inputs[1] if item.get("type") == "function_call_output"] == [
        "sunny in Lisbon", "sunny in Porto"
    ]
    # And could be sent to the Responses API, which takes no fields that it does not know.
    for item in second.inputs[1]:
        assert not {"seq", "created_at"} & item.keys(), item
        prefix = {"function_call": "fc", "function_call_output": "fc"}.get(item.get("type"), "msg")
        assert item.get("id", prefix).startswith(prefix), item

    items = await session.get_items()
    assert len(items) == 10 and items[-1]["content"][0]["text"] == "At nine."
    assert await session.get_items(limit=3) == items[-3:]
    assert await shared.pop_item() == items[-1] and await session.get_items() == items[:-1]
    # More than one request takes: the session sends twenty at a time.
    await session.add_items([user(f"note {n}") for n in range(45)])
    both = [shared.add_items([user(f"more {n}")]) for n in range(10)]
    both += [session.add_items([user(f"less {n}")]) for n in range(10)]
    await asyncio.gather(*both)
    items = await shared.get_items()
    assert len(items) == 9 + 45 + 20 and items[9]["content"][0]["text"] == "note 0"
    assert len({item["id"] for item in items}) == len(items)

    gone = session.session_id
    await session.clear_session()
    try:
        await client.conversations.retrieve(gone)
        raise AssertionError("a cleared conversation is still there")
    except openai.NotFoundError:
        pass
    # A cleared session begins a new conversation.
    assert await session.get_items() == [] and session.session_id != gone
    await client.close()
    return "two agents, one conversation"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--url", default=os.environ.get("API_URL", "http://127.0.0.1:9000"))
    url, key = arguments.parse_args().url.rstrip("/") + "/v1", os.environ.get("OPENAI_API_KEY", "any")
    set_tracing_disabled(True)  # The Agents SDK would send what it does to OpenAI.
    client = OpenAI(base_url=url, api_key=key, _strict_response_validation=True)
    phases = [lambda phase=phase: phase(client) for phase in (conversations, item_types, both_views, paging, errors)]
    names = ["conversations", "item types", "both views", "paging", "errors", "agents"]
    for name, phase in zip(names, [*phases, lambda: asyncio.run(agents(url, key))]):
        began = time.monotonic()
        counted = phase()
        print(f"{name:14} {counted} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"openai {openai.__version__}: all as expected")


if __name__ == "__main__":
    main()
