"""Writes conversations as a package does it: write.py langchain|agents URL. Run by tests/it/cli/from.rs."""

import asyncio
import sys
import uuid

SESSION = "0198c2f0-7e1a-7000-8000-000000000001"


def langchain(url):
    import psycopg
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_postgres import PostgresChatMessageHistory

    with psycopg.connect(url) as connection:
        PostgresChatMessageHistory.create_tables(connection, "chat_history")
        history = PostgresChatMessageHistory("chat_history", SESSION, sync_connection=connection)
        history.add_messages([
            SystemMessage("Be brief."),
            HumanMessage("What is the weather in Zürich?", name="ann"),
            AIMessage(
                "",
                id="run-1",
                tool_calls=[{"name": "weather", "args": {"city": "Zürich"}, "id": "call_1"}],
                usage_metadata={"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
            ),
            ToolMessage("18 °C", tool_call_id="call_1"),
            AIMessage([{"type": "text", "text": "18 °C."}, "Sunny."]),
        ])
        other = PostgresChatMessageHistory("chat_history", str(uuid.UUID(int=7)), sync_connection=connection)
        other.add_messages([HumanMessage(f"message {n}") for n in range(1, 1204)])


async def agents(url):
    from agents.extensions.memory import SQLAlchemySession

    url = url.replace("postgres://", "postgresql+asyncpg://")
    session = SQLAlchemySession.from_url("user 42/a", url=url, create_tables=True)
    await session.add_items([
        {"role": "user", "content": "What is the weather in Zürich?"},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Zürich"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "18 °C"},
        {
            "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "18 °C.", "annotations": []}],
        },
        {
            "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Sunny.", "annotations": []}],
        },
    ])
    popped = SQLAlchemySession.from_url("popped", url=url)
    await popped.add_items([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])
    await popped.pop_item()


if sys.argv[1] == "langchain":
    langchain(sys.argv[2])
else:
    asyncio.run(agents(sys.argv[2]))
