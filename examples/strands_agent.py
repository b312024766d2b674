#!/usr/bin/env python3
"""Keep the sessions of a Strands agent in the store, as messages or as snapshots; the model is a script.

    pip install 'clients/python[strands]'
    python3 examples/strands_agent.py                        # beside a running `make run`
    API_URL=https://... python3 examples/strands_agent.py    # any other deployment; API_TOKEN is its token
"""

import os
import uuid

from strands import Agent
from strands.models import Model
from strands.session import RepositorySessionManager, SnapshotSessionManager
from strands.types.exceptions import SessionException, StorageError

from conversation_store import ConversationStore
from conversation_store.strands import ConversationStoreRepository, ConversationStoreStorage


class Script(Model):
    """Counts what it was asked."""

    def update_config(self, **config):
        pass

    def get_config(self):
        return {}

    async def structured_output(self, *rest, **more):
        raise NotImplementedError
        yield

    async def stream(self, messages, *rest, **more):
        asked = [block["text"] for it in messages if it["role"] == "user" for block in it["content"]]
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": f"Question {len(asked)}: {asked[-1]}"}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}


def restored(manager):
    """What another process has after it has read the session."""
    return Agent(model=Script(), agent_id="guide", callback_handler=None, session_manager=manager)


def check(manager, refused):
    """Two runs, each in an agent of its own, and one of an agent that has not seen the last."""
    for question in ("How is the weather?", "And now?"):
        stale = restored(manager())
        agent = restored(manager())
        print(str(agent(question)).strip())
    assert [it["role"] for it in restored(manager()).messages] == ["user", "assistant"] * 2
    try:
        stale("Refused")
        raise AssertionError("a stale agent was stored")
    except refused as error:
        print(f"Refused: {error}")
    assert restored(manager()).messages == agent.messages


def main():
    url, token = os.environ.get("API_URL", "http://127.0.0.1:9000"), os.environ.get("API_TOKEN")
    with ConversationStore(url, auth=token) as store:
        one, two = f"strands-{uuid.uuid4()}", f"strands-{uuid.uuid4()}"
        check(lambda: RepositorySessionManager(one, ConversationStoreRepository(store)), SessionException)
        count = store.get_conversation(one).message_count
        assert count == 4

        def snapshots():
            return SnapshotSessionManager(two, storage=ConversationStoreStorage(store, two, conditional=True))

        check(snapshots, StorageError)
        for name in (one, two):
            store.delete_conversation(name)
    print(f"Sessions of Strands, {count} messages and their snapshots: all as expected")


main()
