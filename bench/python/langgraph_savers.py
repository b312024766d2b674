"""LangGraph's checkpoints on the store, over HTTP, and with LangGraph's own saver for Postgres: put and get_tuple in threads of several lengths,
and what a checkpoint takes on the disk. Prints JSON.

API_URL is the store's and DATABASE_URL its database; PEER_DATABASE_URL is an empty one for the other; CHECKPOINTS are the lengths.
"""

import json
import os
import random
import statistics
import time
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointMetadata
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres import PostgresSaver

from conversation_store import ConversationStore
from conversation_store.langgraph import ConversationStoreSaver

SIZES = tuple(int(size) for size in os.environ["CHECKPOINTS"].split(","))
SAMPLES = 100
OURS = ("records", "conversations", "owners", "idempotency_keys")
THEIRS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")

# What does not change: about 10 KB, like a profile, instructions, or a document that is talked about.
DOCUMENT = {"title": "A week in Lisbon", "paragraphs": [" ".join(random.Random(n).choices(
    "the tram hill river light tiles coffee bread music window street old blue boat evening garden stairs wind".split(), k=60)) for n in range(30)]}


class Chat:
    """A thread as a graph of two nodes makes it: each superstep changes two small channels and the trigger of the next node."""

    def __init__(self, saver: BaseCheckpointSaver[Any], thread: str) -> None:
        self.saver, self.step = saver, -1
        self.config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        self.values: dict[str, Any] = {"document": DOCUMENT}
        self.versions: dict[str, Any] = {}
        self.seen: dict[str, dict[str, Any]] = {"__input__": {}, "__start__": {}}
        self.choices = random.Random(7)

    def next(self) -> tuple[Any, CheckpointMetadata, dict[str, Any]]:
        """The next checkpoint, its metadata and its new versions."""
        self.step += 1
        node, other = ("agent", "tools") if self.step % 2 else ("tools", "agent")
        version = self.saver.get_next_version(max(self.versions.values(), default=None), None)
        new = {"last": version, "turn": version, f"branch:to:{node}": version, f"branch:to:{other}": version}
        if not self.versions:
            new["document"] = version
        self.seen[other] = {f"branch:to:{other}": self.versions.get(f"branch:to:{other}", version)}
        self.versions = {**self.versions, **new}
        text = " ".join(self.choices.choices("weather Lisbon sunny degrees train museum ticket at nine the and of".split(), k=25))
        self.values = {**self.values, "last": {"role": node, "content": text, "id": str(uuid4())}, "turn": self.step}
        self.values[f"branch:to:{node}"] = None
        self.values.pop(f"branch:to:{other}", None)
        checkpoint = {
            "v": 4, "id": str(uuid6(clock_seq=self.step)), "ts": time.strftime("%Y-%m-%dT%H:%M:%S.123456+00:00", time.gmtime()),
            "channel_values": self.values, "channel_versions": self.versions,
            "versions_seen": {name: {**seen} for name, seen in self.seen.items()}, "updated_channels": sorted(new),
        }
        return checkpoint, {"source": "loop", "step": self.step, "parents": {}}, new

    def put(self) -> float:
        """Stores the next checkpoint, then what its task writes; the seconds of the first."""
        checkpoint, metadata, new = self.next()
        start = time.perf_counter()
        self.config = self.saver.put(self.config, checkpoint, metadata, new)
        seconds = time.perf_counter() - start
        writes = [("last", self.values["last"]), ("turn", self.step), ("branch:to:agent", None)]
        self.saver.put_writes(self.config, writes, str(uuid4()), "~__pregel_pull, agent")
        return seconds

    def get(self) -> float:
        """Reads the latest checkpoint; the seconds."""
        config: Any = {"configurable": {"thread_id": self.config["configurable"]["thread_id"], "checkpoint_ns": ""}}
        start = time.perf_counter()
        saved = self.saver.get_tuple(config)
        seconds = time.perf_counter() - start
        assert saved and saved.checkpoint["channel_values"]["turn"] == self.step and len(saved.pending_writes or ()) == 3
        assert saved.checkpoint["channel_values"]["document"] == DOCUMENT
        return seconds


def measure(saver: BaseCheckpointSaver[Any]) -> dict[str, list[float]]:
    """The p50 of put and get_tuple, in ms, around each number of checkpoints of one thread."""
    chat = Chat(saver, f"bench-{uuid4()}")
    found: dict[str, list[float]] = {"put": [], "get_tuple": []}
    for size in SIZES:
        count = min(SAMPLES, size)
        while chat.step + 1 < size - count:
            chat.put()
        # The first makes a connection.
        chat.get() if chat.step >= 0 else None
        puts = [chat.put() for _ in range(count)]
        gets = [chat.get() for _ in range(SAMPLES)]
        found["put"].append(statistics.median(puts) * 1000)
        found["get_tuple"].append(statistics.median(gets) * 1000)
    return found


def bytes_on_disk(database_url: str, tables: tuple[str, ...]) -> int:
    """The bytes of tables with their indexes and TOAST."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        size = "select sum(pg_total_relation_size(it::regclass)) from unnest(%s::text[]) it"
        row = connection.execute(size, [list(tables)]).fetchone()
        return int(row[0]) if row else 0


def main() -> None:
    """Measures both, one after the other."""
    found: dict[str, Any] = {"checkpoints": SIZES}
    with ExitStack() as stack:
        store = stack.enter_context(ConversationStore(os.environ["API_URL"]))
        postgres = stack.enter_context(PostgresSaver.from_conn_string(os.environ["PEER_DATABASE_URL"]))
        postgres.setup()
        for name, saver, database, tables in (
            ("ours", ConversationStoreSaver(store), os.environ["DATABASE_URL"], OURS),
            ("theirs", postgres, os.environ["PEER_DATABASE_URL"], THEIRS),
        ):
            before = bytes_on_disk(database, tables)
            found[name] = measure(saver)
            found[name]["bytes_each"] = (bytes_on_disk(database, tables) - before) / SIZES[-1]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
