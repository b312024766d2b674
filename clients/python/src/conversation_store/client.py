"""The clients: they send what `operations` builds, again where that is safe, and raise what `errors` has."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

import httpx

from . import bulk, operations
from ._wire import Pause, Request, Steps
from .auth import Credentials, auth_of
from .errors import IncompatibleServer, IncompatibleServerWarning, InvalidResponse, StoreError, Unavailable, error_of
from .models import ExportPage, Page

CONTRACT_VERSION = "0.1.0"
"""The version of the HTTP contract (`info.version` of infra/openapi.yaml) that this client is made for."""

P = ParamSpec("P")
T = TypeVar("T")
PageT = TypeVar("PageT", bound="Page[Any] | ExportPage")

Outcome: TypeAlias = "httpx.Response | httpx.RequestError"
_Closing: TypeAlias = AsyncGenerator[None, None]

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

    def _wait(self, attempt: int, outcome: Outcome) -> float | None:
        """The seconds until the next attempt; None if there is none."""
        asked = 0.0
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in _TRANSIENT or outcome.headers.get("x-should-retry") == "false":
                return None
            seconds = outcome.headers.get("retry-after", "")
            asked = float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0
        elif isinstance(outcome, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
            return None
        if attempt >= self._retries or asked > _LONGEST_WAIT:
            return None
        # Jitter, so that callers which failed together do not come back together.
        return asked + random.uniform(0.5, 1.0) * min(0.1 * 2.0**attempt, 5.0)

    def _result(self, request: Request[T], outcome: Outcome) -> T:
        where = f"{request.method} {request.path}"
        if isinstance(outcome, httpx.RequestError):
            kind = Unavailable if isinstance(outcome, httpx.TransportError) else InvalidResponse
            raise kind(f"{where}: {outcome!r}") from outcome
        self._check(outcome)
        if not outcome.is_success:
            raise error_of(outcome)
        try:
            return request.parse(outcome)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            id = outcome.headers.get("x-request-id")
            text = f"{where}: the response is not one of the API: {error!r}"
            raise InvalidResponse(text, outcome.status_code, request_id=id) from error

    def _asks_first(self, request: Request[Any]) -> bool:
        """Whether the version is asked before a request, since a server of another one must not do it."""
        return self._unchecked and request.method not in ("GET", "HEAD")

    def _learn(self, outcome: Outcome) -> None:
        """Compares versions, if that is what was answered; otherwise the request itself says what is wrong."""
        if isinstance(outcome, httpx.Response):
            self._check(outcome)

    def _check(self, answer: httpx.Response) -> None:
        """Compares versions: another major one is another API, and an older server lacks operations.

        An error without a version may be that of a gateway, which says nothing about the server.
        """
        version = answer.headers.get("x-contract-version")
        if not self._unchecked or (version is None and not answer.is_success):
            return
        told = f"The server speaks version {version or 'unknown'} of the contract, this client {CONTRACT_VERSION}"
        server, client = _release(version or "0.0"), _release(CONTRACT_VERSION)
        if not server or (version and server[0] != client[0]):
            raise IncompatibleServer(f"{told}: install the client that goes with the server.")
        self._unchecked = False
        if server < client:
            warnings.warn(f"{told}: upgrade the server before its clients.", IncompatibleServerWarning, stacklevel=6)


def _release(version: str) -> list[int]:
    """Major and minor, none if that is no version; a patch changes no contract."""
    parts = version.split(".")[:2]
    return [int(part) for part in parts] if all(it.isascii() and it.isdigit() for it in parts) else []


def _url(request: Request[Any]) -> str:
    """Path and query; a space is `%20`, which AWS signs, and not `+`."""
    query = urlencode(tuple(request.params), quote_via=quote, safe="")
    return f"{request.path}?{query}" if query else request.path


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


def _sync_lines(
    build: Callable[P, Request[ExportPage]],
) -> Callable[Concatenate[ConversationStore, P], Iterator[dict[str, Any]]]:
    pages = _sync_all(build)

    @wraps(build)
    def method(self: ConversationStore, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[dict[str, Any]]:
        for page in pages(self, *args, **kwargs):
            yield from page.lines

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


def _async_lines(
    build: Callable[P, Request[ExportPage]],
) -> Callable[Concatenate[AsyncConversationStore, P], AsyncIterator[dict[str, Any]]]:
    pages = _async_all(build)

    @wraps(build)
    async def method(
        self: AsyncConversationStore, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[dict[str, Any]]:
        async for page in pages(self, *args, **kwargs):
            for line in page.lines:
                yield line

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
        `check_version` compares the server's contract with the client's when the first answer comes, or in a request
        before it if the first request is a write: an `IncompatibleServer` is raised, or an `IncompatibleServerWarning`
        given.
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
    delete_conversations = _sync(operations.delete_conversations)
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
    owner = _sync(operations.owner)
    delete_owner = _sync(operations.delete_owner)
    export_owner = _sync_lines(operations.export_owner)
    export_pages = _sync_all(operations.export_owner)
    health = _sync(operations.health)

    def send(self, request: Request[T]) -> T:
        """Sends one request, again where that is safe, and reads its answer."""
        if self._asks_first(request):
            self._learn(self._attempt(operations.health()))
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
                if isinstance(request, Pause):
                    time.sleep(request.seconds)
                    request = todo.send(None)
                    continue
                try:
                    answer = self.send(request)
                except StoreError as error:
                    request = todo.throw(error)
                else:
                    request = todo.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _attempt(self, request: Request[Any]) -> Outcome:
        try:
            return self._http.request(request.method, _url(request), headers=request.headers, content=request.content)
        except httpx.RequestError as error:
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
    """The same client for asyncio: each operation is awaited, and each list of pages is for `async for`.

    Event loops can share one, one after the other or in threads: each has connections of its own.
    """

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
        self._made: Callable[[], httpx.AsyncClient] = partial(
            httpx.AsyncClient,
            base_url=_root(base_url),
            headers={"x-owner-id": owner} if owner else None,
            auth=auth_of(auth),
            timeout=timeout,
            limits=_LIMITS,
            transport=transport,
        )
        self._lock = threading.Lock()
        self._closed = False
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, _Closing]]
        self._clients = WeakKeyDictionary()

    create_conversation = _async(operations.create_conversation)
    get_conversation = _async(operations.get_conversation)
    list_conversations = _async(operations.list_conversations)
    conversation_pages = _async_all(operations.list_conversations)
    update_conversation = _async(operations.update_conversation)
    delete_conversation = _async(operations.delete_conversation)
    delete_conversations = _async(operations.delete_conversations)
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
    owner = _async(operations.owner)
    delete_owner = _async(operations.delete_owner)
    export_owner = _async_lines(operations.export_owner)
    export_pages = _async_all(operations.export_owner)
    health = _async(operations.health)

    async def send(self, request: Request[T]) -> T:
        """Sends one request, again where that is safe, and reads its answer."""
        if self._asks_first(request):
            self._learn(await self._attempt(operations.health()))
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
                if isinstance(request, Pause):
                    await asyncio.sleep(request.seconds)
                    request = todo.send(None)
                    continue
                try:
                    answer = await self.send(request)
                except StoreError as error:
                    request = todo.throw(error)
                else:
                    request = todo.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def _attempt(self, request: Request[Any]) -> Outcome:
        http = await self._http()
        try:
            return await http.request(request.method, _url(request), headers=request.headers, content=request.content)
        except httpx.RequestError as error:
            return error

    async def _http(self) -> httpx.AsyncClient:
        """The connections of the running loop, which another loop cannot use."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._closed:
                raise RuntimeError("This AsyncConversationStore is closed.")
            for ended in [it for it in self._clients if it.is_closed()]:
                del self._clients[ended]
            if loop in self._clients:
                return self._clients[loop][0]
            client = self._made()
            closing = _closing(client)
            self._clients[loop] = client, closing
        # A loop that ends, as in `asyncio.run`, closes the generators that have begun in it.
        await anext(closing)
        return client

    async def aclose(self) -> None:
        """Closes the connections, also those of other loops."""
        running = asyncio.get_running_loop()
        with self._lock:
            self._closed = True
            clients = dict(self._clients)
            self._clients.clear()
        for loop, (client, closing) in clients.items():
            if loop is running:
                await closing.aclose()
                await client.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)

    async def __aenter__(self) -> AsyncConversationStore:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.aclose()


async def _closing(client: httpx.AsyncClient) -> _Closing:
    """Closes a client when it is closed."""
    try:
        yield
    finally:
        await client.aclose()
