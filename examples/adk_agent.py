#!/usr/bin/env python3
"""Keep the sessions of an agent of Google ADK in the store, with their state; the model is a script.

    pip install 'clients/python[adk]'                    # Python 3.11 or newer
    python3 examples/adk_agent.py                        # beside a running `make run`
    API_URL=https://... python3 examples/adk_agent.py    # any other deployment; API_TOKEN is its token
"""

import asyncio
import os
import uuid

from google.adk.agents import LlmAgent
from google.adk.errors import StaleSessionError
from google.adk.events import Event
from google.adk.models import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.tools.tool_context import ToolContext
from google.genai import types

from conversation_store import AsyncConversationStore
from conversation_store.adk import ConversationStoreSessionService


class Script(BaseLlm):
    """Books what it is asked for, and says what came of it."""

    async def generate_content_async(self, llm_request, stream=False):
        last = llm_request.contents[-1].parts[-1]
        if last.text:
            part = types.Part.from_function_call(name="book", args={"city": last.text.split()[-1]})
        else:
            part = types.Part(text=last.function_response.response["result"])
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def book(city: str, tool_context: ToolContext) -> str:
    """Books a trip."""
    state = tool_context.state
    state["city"] = city
    state["user:trips"] = state.get("user:trips", 0) + 1
    return f"Trip {state['user:trips']} goes to {city}."


async def main():
    url, token = os.environ.get("API_URL", "http://127.0.0.1:9000"), os.environ.get("API_TOKEN")
    async with AsyncConversationStore(url, auth=token) as store:
        service = ConversationStoreSessionService(store)
        user = f"user-{uuid.uuid4()}"
        agent = LlmAgent(name="guide", model=Script(model="script"), tools=[book])
        runner = Runner(app_name="trips", agent=agent, session_service=service, auto_create_session=True)
        for session_id, city in (("one", "Lisbon"), ("two", "Porto"), ("one", "Faro")):
            message = types.Content(role="user", parts=[types.Part(text=f"I want to go to {city}")])
            async for event in runner.run_async(user_id=user, session_id=session_id, new_message=message):
                if event.is_final_response():
                    print(f"Session {session_id}: {event.content.parts[0].text}")

        names = {"app_name": "trips", "user_id": user}
        one = await service.get_session(**names, session_id="one")
        two = await service.get_session(**names, session_id="two")
        assert (one.state, two.state) == ({"city": "Faro", "user:trips": 3}, {"city": "Porto", "user:trips": 3})
        assert len(one.events) == 8 and await service.get_user_state(**names) == {"trips": 3}

        # Two have read the session; the second to write has not seen what the first one wrote.
        again = await service.get_session(**names, session_id="one")
        await service.append_event(again, Event(author="user", invocation_id="i"))
        try:
            await service.append_event(one, Event(author="user", invocation_id="i"))
            raise AssertionError("an event was appended to a stale session")
        except StaleSessionError as error:
            print(f"Refused: {error}")

        for session in (await service.list_sessions(**names)).sessions:
            await service.delete_session(**names, session_id=session.id)
        assert (await service.list_sessions(**names)).sessions == []
    print(f"Sessions of ADK, {len(again.events)} events and their state: all as expected")


asyncio.run(main())
