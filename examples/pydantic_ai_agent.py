#!/usr/bin/env python3
"""Keep the conversations of a Pydantic AI agent in the store, with branches and forks; the model is a script.

    pip install 'clients/python[pydantic-ai]'                    # Python 3.11 or newer
    python3 examples/pydantic_ai_agent.py                        # beside a running `make run`
    API_URL=https://... python3 examples/pydantic_ai_agent.py    # any other deployment; API_TOKEN is its token
"""

import asyncio
import os
import uuid

from pydantic_ai import Agent, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict
from pydantic_ai.models.function import FunctionModel

from conversation_store import AsyncConversationStore
from conversation_store.pydantic_ai import ConversationStoreBackend


def script(messages, info):
    """Looks up the weather if that is in question, and says what it knows."""
    last = str(messages[-1].parts[-1].content)
    if "weather" in last:
        return ModelResponse(parts=[ToolCallPart("weather", {"city": "Lisbon"})])
    return ModelResponse(parts=[TextPart(f"{last.rstrip('?')}, in answer to message {len(messages)}.")])


agent = Agent(FunctionModel(script))


@agent.tool_plain
def weather(city: str) -> str:
    return f"sunny in {city}"


async def main():
    url, token = os.environ.get("API_URL", "http://127.0.0.1:9000"), os.environ.get("API_TOKEN")
    async with AsyncConversationStore(url, auth=token) as client:
        store = ConversationStoreBackend(client)
        name = f"pydantic-ai-{uuid.uuid4()}"
        for question in ("How is the weather?", "And now?"):
            conversation = await store.load(name) or Conversation(conversation_id=name)
            stale = await store.load(name)
            result = await agent.run(question, conversation=conversation)
            await store.save(result)
            print(f"{question} {result.output}")
        assert len((await store.load(name)).messages) == 6

        # Somebody else has saved since this one was loaded.
        try:
            await store.save(await agent.run("Refused", conversation=stale))
            raise AssertionError("a stale conversation was saved")
        except ConversationConflict as error:
            print(f"Refused: {error}")

        # Another second question, in a fork and in the conversation itself, which keeps the first one as a branch.
        fork = await store.fork(name, at=4)
        await store.save(await agent.run("And the food?", conversation=fork))
        branch = await store.branch(name, at=4, expected_revision=result.conversation.revision)
        await store.save(await agent.run("And the trains?", conversation=branch))
        for id, question in ((fork.conversation_id, "And the food?"), (name, "And the trains?")):
            messages = (await store.load(id)).messages
            assert len(messages) == 6 and messages[4].parts[0].content == question, messages
        [left] = (await store.read_record(name)).branches
        assert (await store.read_history(left))[4].message.parts[0].content == "And now?"

        for id in (name, fork.conversation_id):
            await store.delete(id)
            assert await store.load(id) is None
            await client.delete_conversation(id)
    print(f"Conversations of Pydantic AI, {len(messages)} messages, a branch and a fork: all as expected")


asyncio.run(main())
