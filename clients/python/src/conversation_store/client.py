"""The clients: they send what `operations` builds, again where that is safe, and raise what `errors` has."""

from __future__ import annotations

import asyncio
import random
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from . import bulk, operations
from .auth import Credentials, auth_of
from .errors import IncompatibleServer, IncompatibleServerWarning, StoreError, Unavailable, error_of
from .models import Page
from .operations import Request, Steps

CONTRACT_VERSION = "0.1.0"
"""The version of the HTTP contract (`info.version` of infra/openapi.yaml) that this client is made for."""

P = ParamSpec("P")
T = TypeVar("T")
PageT = TypeVar("PageT", bound=Page[Any])

_LIMITS = httpx.Limits(keepalive_expiry=30.0)
_TRANSIENT = {429, 502, 503, 504}
_LONGEST_WAIT = 30.0


def _root(base_url: str) -> str:
    """The URL without the `/v1` that the OpenAI SDKs want in it."""
    return base_url.rstrip("/").removesuffix("/v1")


class _Client:
    """What the two clients share: everything but sending and waiting."""

    def __init__(self, retries: int, check_version: bool) -> None:
        self._retries = retries
        self._unchecked = check_version

    def _wait(self, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """The seconds until the next attempt; None if there is none."""
        asked = 0.0
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in _TRANSIENT or outcome.headers.get("x-should-retry") == "false":
                return None
            seconds = outcome.headers.get("retry-after", "")
            asked = float(seconds) if seconds.isdigit() else 0.0
        elif isinstance(outcome, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
            return None
        if attempt >= self._retries or asked > _LONGEST_WAIT:
            return None
        # Jitter, so that callers which failed together do not come back together.
        return asked + random.uniform(0.5, 1.0) * min(0.1 * 2.0**attempt, 5.0)

    def _result(self, request: Request[T], outcome: httpx.Response | httpx.TransportError) -> T:
        if isinstance(outcome, httpx.TransportError):
            raise Unavailable(f"{request.method} {request.path}: {outcome!r}") from outcome
        self._check(outcome)
        if not outcome.is_success:
            raise error_of(outcome)
        return request.parse(outcome)

    def _check(self, answer: httpx.Response) -> None:
        """Compares versions: another major one is another API, and an older server lacks operations.

        An error without a version may be that of a gateway, which says nothing about the server.
        """
        version = answer.headers.get("x-contract-version")
        if not self._unchecked or (version is None and not answer.is_success):
            return
        told = f"The server speaks version {version or 'unknown'} of the contract, this client {CONTRACT_VERSION}"
        server, client = _release(version or "0.0"), _release(CONTRACT_VERSION)
        if version and server[0] != client[0]:
            raise IncompatibleServer(f"{told}: install the client that goes with the server.")
        self._unchecked = False
        if server < client:
            warnings.warn(f"{told}: upgrade the server before its clients.", IncompatibleServerWarning, stacklevel=6)


def _release(version: str) -> list[int]:
    """Major and minor; a patch changes no contract."""
    return [int(part) for part in version.split(".")[:2]]


def _sync(build: Callable[P, Request[T] | Steps[T]]) -> Callable[Concatenate[ConversationStore, P], T]:
    @wraps(build)
    def method(self: ConversationStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(build(*args, **kwargs))

    return method


def _sync_all(build: Callable[P, Request[PageT]]) -> Callable[Concatenate[ConversationStore, P], Iterator[PageT]]:
    @wraps(build)
    def method(self: ConversationStore, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[PageT]:
        request: Request[PageT] | None = build(*args, **kwargs)
        while request and (page := self.run(request)):
            yield page
            request = request.next_page(page)

    return method


def _async(build: Callable[P, Request[T] | Steps[T]]) -> Callable[Concatenate[AsyncConversationStore, P], Awaitable[T]]:
    @wraps(build)
    async def method(self: AsyncConversationStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(build(*args, **kwargs))

    return method


def _async_all(
    build: Callable[P, Request[PageT]],
) -> Callable[Concatenate[AsyncConversationStore, P], AsyncIterator[PageT]]:
    @wraps(build)
    async def method(self: AsyncConversationStore, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[PageT]:
        request: Request[PageT] | None = build(*args, **kwargs)
        while request and (page := await self.run(request)):
            yield page
            request = request.next_page(page)

    return method


class ConversationStore(_Client):
    """A client of the conversation store. Threads can share one; close it, or use it in `with`."""

    def __init__(
        self,
        base_url: str,
        *,
        auth: Credentials | None = None,
        owner: str | None = None,
        retries: int = 4,
        timeout: float = 30.0,
        check_version: bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Takes the URL of the API and who the caller is.

        `auth` is a token, a function that returns one, or an `httpx.Auth` like `AwsAuth`. `owner` is sent as
        `x-owner-id`, for deployments that trust it. Requests are sent up to `retries` times again, after lost
        connections and after 429, 502, 503 and 504; every write has an `Idempotency-Key`, so that it takes effect once.
        `check_version` compares the server's contract with the client's when the first answer comes: an
        `IncompatibleServer` is raised, or an `IncompatibleServerWarning` given.
        """
        super().__init__(retries, check_version)
        self._http = httpx.Client(
            base_url=_root(base_url),
            headers={"x-owner-id": owner} if owner else None,
            auth=auth_of(auth),
            timeout=timeout,
            limits=_LIMITS,
            transport=transport,
        )

    create_conversation = _sync(operations.create_conversation)
    get_conversation = _sync(operations.get_conversation)
    list_conversations = _sync(operations.list_conversations)
    conversation_pages = _sync_all(operations.list_conversations)
    update_conversation = _sync(operations.update_conversation)
    delete_conversation = _sync(operations.delete_conversation)
    add_messages = _sync(operations.add_messages)
    replace_messages = _sync(operations.replace_messages)
    list_messages = _sync(operations.list_messages)
    message_pages = _sync_all(operations.list_messages)
    add_items = _sync(operations.add_items)
    list_items = _sync(operations.list_items)
    item_pages = _sync_all(operations.list_items)
    get_item = _sync(operations.get_item)
    delete_item = _sync(operations.delete_item)
    put_record = _sync(operations.put_record)
    get_record = _sync(operations.get_record)
    list_records = _sync(operations.list_records)
    record_pages = _sync_all(operations.list_records)
    delete_record = _sync(operations.delete_record)
    delete_records = _sync(operations.delete_records)
    write_records = _sync(operations.write_records)
    read_many_records = _sync(bulk.read_many_records)
    write_many_records = _sync(bulk.write_many_records)
    health = _sync(operations.health)

    def send(self, request: Request[T]) -> T:
        """Sends one request, again where that is safe, and reads its answer."""
        attempt = 0
        while (wait := self._wait(attempt, outcome := self._attempt(request))) is not None:
            time.sleep(wait)
            attempt += 1
        return self._result(request, outcome)

    def run(self, steps: Request[T] | Steps[T]) -> T:
        """Runs code that asks for the answers of requests."""
        todo = iter(steps)
        try:
            request = next(todo)
            while True:
                try:
                    answer = self.send(request)
                except StoreError as error:
                    request = todo.throw(error)
                else:
                    request = todo.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _attempt(self, request: Request[T]) -> httpx.Response | httpx.TransportError:
        try:
            params = tuple(request.params) or None
            return self._http.request(
                request.method, request.path, params=params, headers=request.headers, content=request.content
            )
        except httpx.TransportError as error:
            return error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> ConversationStore:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self.close()


class AsyncConversationStore(_Client):
    """The same client for asyncio: each operation is awaited, and each list of pages is for `async for`."""

    def __init__(
        self,
        base_url: str,
        *,
        auth: Credentials | None = None,
        owner: str | None = None,
        retries: int = 4,
        timeout: float = 30.0,
        check_version: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Takes what `ConversationStore` takes; a token may come from an async function."""
        super().__init__(retries, check_version)
        self._http = httpx.AsyncClient(
            base_url=_root(base_url),
            headers={"x-owner-id": owner} if owner else None,
            auth=auth_of(auth),
            timeout=timeout,
            limits=_LIMITS,
            transport=transport,
        )

    create_conversation = _async(operations.create_conversation)
    get_conversation = _async(operations.get_conversation)
    list_conversations = _async(operations.list_conversations)
    conversation_pages = _async_all(operations.list_conversations)
    update_conversation = _async(operations.update_conversation)
    delete_conversation = _async(operations.delete_conversation)
    add_messages = _async(operations.add_messages)
    replace_messages = _async(operations.replace_messages)
    list_messages = _async(operations.list_messages)
    message_pages = _async_all(operations.list_messages)
    add_items = _async(operations.add_items)
    list_items = _async(operations.list_items)
    item_pages = _async_all(operations.list_items)
    get_item = _async(operations.get_item)
    delete_item = _async(operations.delete_item)
    put_record = _async(operations.put_record)
    get_record = _async(operations.get_record)
    list_records = _async(operations.list_records)
    record_pages = _async_all(operations.list_records)
    delete_record = _async(operations.delete_record)
    delete_records = _async(operations.delete_records)
    write_records = _async(operations.write_records)
    read_many_records = _async(bulk.read_many_records)
    write_many_records = _async(bulk.write_many_records)
    health = _async(operations.health)

    async def send(self, request: Request[T]) -> T:
        """Sends one request, again where that is safe, and reads its answer."""
        attempt = 0
        while (wait := self._wait(attempt, outcome := await self._attempt(request))) is not None:
            await asyncio.sleep(wait)
            attempt += 1
        return self._result(request, outcome)

    async def run(self, steps: Request[T] | Steps[T]) -> T:
        """Runs code that asks for the answers of requests."""
        todo = iter(steps)
        try:
            request = next(todo)
            while True:
                try:
                    answer = await self.send(request)
                except StoreError as error:
                    request = todo.throw(error)
                else:
                    request = todo.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def _attempt(self, request: Request[T]) -> httpx.Response | httpx.TransportError:
        try:
            params = tuple(request.params) or None
            return await self._http.request(
                request.method, request.path, params=params, headers=request.headers, content=request.content
            )
        except httpx.TransportError as error:
            return error

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncConversationStore:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.aclose()
