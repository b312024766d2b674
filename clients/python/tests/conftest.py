"""Tests run against a real server at BASE_URL, each under an owner of its own."""

import os
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from conversation_store import AsyncConversationStore, ConversationStore


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def base_url() -> str:
    url = os.environ.get("BASE_URL")
    if not url:
        pytest.skip("needs a server: set BASE_URL, as to http://127.0.0.1:9000 after `make run`")
    return url


@pytest.fixture
def owner() -> str:
    return f"owner-{uuid4()}"


@pytest.fixture
def store(base_url: str, owner: str) -> Iterator[ConversationStore]:
    with ConversationStore(base_url, owner=owner) as store:
        yield store


@pytest.fixture
async def async_store(base_url: str, owner: str) -> AsyncIterator[AsyncConversationStore]:
    async with AsyncConversationStore(base_url, owner=owner) as store:
        yield store
