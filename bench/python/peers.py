"""Each library adds messages to a conversation of a hundred and reads the last hundred, over and over. Prints JSON:
[{"name", "add", "recent"}], the middle times in microseconds."""

import asyncio
import http.client
import json
import os
import statistics
import time
import urllib.parse
import uuid

import psycopg
import warnings

warnings.filterwarnings("ignore")

TIMES = 200
CONTENT = ("the quick brown fox jumps over the lazy dog " * 12)[: 512 - len('{"role":"user","content":""}')]
ITEM = {"role": "user", "content": CONTENT}
DATABASE = os.environ["DATABASE_URL"].removeprefix("postgres://")


def middle(times):
    return statistics.median(times) * 1e6


def timed(call):
    began = time.perf_counter()
    answer = call()
    return time.perf_counter() - began, answer


async def timed_async(call):
    began = time.perf_counter()
    answer = await call()
    return time.perf_counter() - began, answer


def both(name, add, recent):
    for _ in range(100):
        add()
    adds, reads = [], []
    for _ in range(TIMES):
        adds.append(timed(add)[0])
        took, messages = timed(recent)
        assert len(messages) >= 100, (name, len(messages))
        reads.append(took)
    return {"name": name, "add": middle(adds), "recent": middle(reads)}


async def session(name, session):
    for _ in range(100):
        await session.add_items([ITEM])
    adds, reads = [], []
    for _ in range(TIMES):
        adds.append((await timed_async(lambda: session.add_items([ITEM])))[0])
        took, items = await timed_async(lambda: session.get_items(100))
        assert len(items) == 100, (name, len(items))
        reads.append(took)
    return {"name": name, "add": middle(adds), "recent": middle(reads)}


def conversation_store():
    url = urllib.parse.urlparse(os.environ["API_URL"])
    connection = http.client.HTTPConnection(url.netloc)
    path = f"/v1/conversations/{uuid.uuid4()}/messages"

    def ask(method, body=None):
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        return answer["data"]

    body = json.dumps(ITEM)
    name = "conversation-store, over HTTP through a gateway and its functions"
    return both(name, lambda: ask("POST", body), lambda: ask("GET"))


async def agents():
    from agents.extensions.memory import RedisSession, SQLAlchemySession
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"postgresql+asyncpg://{DATABASE}")
    yield await session(
        "openai-agents SQLAlchemySession (Postgres)", SQLAlchemySession(str(uuid.uuid4()), engine=engine, create_tables=True)
    )
    await engine.dispose()
    kept = RedisSession.from_url(str(uuid.uuid4()), url=os.environ["REDIS_URL"])
    yield await session("openai-agents RedisSession (Redis)", kept)
    await kept.close()


def langchain():
    from langchain_community.chat_message_histories import RedisChatMessageHistory
    from langchain_core.messages import HumanMessage
    from langchain_postgres import PostgresChatMessageHistory

    message = HumanMessage(CONTENT)
    connection = psycopg.connect(os.environ["DATABASE_URL"])
    PostgresChatMessageHistory.create_tables(connection, "langchain_history")
    history = PostgresChatMessageHistory("langchain_history", str(uuid.uuid4()), sync_connection=connection)
    # It reads all there is: so that both read as much, it is kept at about as many as the others read.
    yield both("langchain-postgres PostgresChatMessageHistory (Postgres)", lambda: history.add_messages([message]), lambda: history.messages)
    history = RedisChatMessageHistory(str(uuid.uuid4()), url=os.environ["REDIS_URL"])
    yield both("langchain-community RedisChatMessageHistory (Redis)", lambda: history.add_message(message), lambda: history.messages)


async def main():
    rows = [conversation_store()]
    async for row in agents():
        rows.append(row)
    rows.extend(langchain())
    print(json.dumps(rows))


asyncio.run(main())
