#!/usr/bin/env python3
"""Keep the history of an agent of the OpenAI Agents SDK in the store; the model is a script.

    pip install 'clients/python[agents]'
    python3 examples/agents_sdk.py                        # beside a running `make run`
    API_URL=https://... python3 examples/agents_sdk.py    # any other deployment; API_TOKEN is its token
"""

import asyncio
import os
import uuid

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from conversation_store import AsyncConversationStore, VersionMismatch
from conversation_store.agents import ConversationStoreSession

QUIET = RunConfig(tracing_disabled=True)


class Script(Model):
    """Asks for the weather if that is in question, and says what it knows."""

    async def get_response(self, system_instructions, input, *rest, **more):
        last = input[-1]
        if "weather" in str(last.get("content")):
            call = ResponseFunctionToolCall(
                type="function_call", call_id="c1", name="weather", arguments='{"city":"Lisbon"}'
            )
            return ModelResponse(output=[call], usage=Usage(), response_id=None)
        questions = [item for item in input if item.get("role") == "user"]
        said = f"{last.get('output', 'Hello')}: that was question {len(questions)}."
        part = ResponseOutputText(type="output_text", text=said, annotations=[])
        message = ResponseOutputMessage(
            id="msg_1", type="message", role="assistant", status="completed", content=[part]
        )
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *rest, **more):
        raise NotImplementedError


@function_tool
def weather(city: str) -> str:
    return f"sunny in {city}"


async def main():
    agent = Agent(name="guide", model=Script(), tools=[weather])
    url, token = os.environ.get("API_URL", "http://127.0.0.1:9000"), os.environ.get("API_TOKEN")
    async with AsyncConversationStore(url, auth=token) as store:
        name = f"agents-sdk-{uuid.uuid4()}"
        session = ConversationStoreSession(name, store)
        for question in ("How is the weather?", "And now?"):
            # What a run stores is one commit, done only if nobody else has changed the session meanwhile.
            async with session.turn() as turn:
                result = await Runner.run(agent, question, session=turn, run_config=QUIET)
            print(f"{question} {result.final_output}")
        assert result.final_output == "Hello: that was question 2."

        # Another worker has been faster: nothing of the run is stored, and it is done again.
        try:
            async with session.turn() as turn:
                await Runner.run(agent, "Refused", session=turn, run_config=QUIET)
                await ConversationStoreSession(name, store).add_items([{"role": "user", "content": "I was first."}])
            raise AssertionError("a stale turn was stored")
        except VersionMismatch as error:
            print(f"The session is at version {error.version} already: nothing was stored.")

        assert (await session.pop_item())["content"] == "I was first."
        items = await session.get_items()
        assert [item.get("type", "message") for item in items] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
            "message",
            "message",
        ], items
        await session.clear_session()
        assert await session.get_items() == []
        await store.delete_conversation(name)
    print(f"A session of the Agents SDK, {len(items)} items: all as expected")


asyncio.run(main())
