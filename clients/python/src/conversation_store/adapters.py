"""Methods of adapters, written once as steps, for callers that block and for callers that await."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

from ._wire import Pause, Request, Steps
from .client import AsyncConversationStore, ConversationStore
from .errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

Pages: TypeAlias = Generator[Request[Any] | Pause | list[T], Any, None]
"""Steps that yield lists of results on the way."""


Store: TypeAlias = ConversationStore | AsyncConversationStore


class HasStore(Protocol):
    """An adapter over either client."""

    store: Store


S = TypeVar("S", bound=HasStore)


def run(adapter: HasStore, steps: Steps[T]) -> T:
    """Runs steps with an adapter's client, which must be the one that blocks."""
    if isinstance(adapter.store, AsyncConversationStore):
        raise TypeError(f"{type(adapter).__name__} over AsyncConversationStore has async methods only.")
    return adapter.store.run(steps)


async def arun(adapter: HasStore, steps: Steps[T]) -> T:
    """Runs steps with an adapter's client, in a thread if that blocks."""
    if isinstance(adapter.store, AsyncConversationStore):
        return await adapter.store.run(steps)
    return await asyncio.to_thread(adapter.store.run, steps)


def blocking(method: Callable[Concatenate[S, P], Steps[T]]) -> Callable[Concatenate[S, P], T]:
    """Makes a method of one that has steps."""

    @wraps(method)
    def runs(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(self, method(self, *args, **kwargs))

    runs.__name__ = method.__name__.removeprefix("_")
    return runs


def awaiting(method: Callable[Concatenate[S, P], Steps[T]]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Makes an async method of one that has steps."""

    @wraps(method)
    async def runs(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await arun(self, method(self, *args, **kwargs))

    runs.__name__ = "a" + method.__name__.removeprefix("_")
    return runs


def iterating(method: Callable[Concatenate[S, P], Pages[T]]) -> Callable[Concatenate[S, P], Iterator[T]]:
    """Makes a method that iterates over the results of one that has pages."""

    @wraps(method)
    def runs(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        pages = method(self, *args, **kwargs)
        while (page := run(self, _next_page(pages))) is not None:
            yield from page

    runs.__name__ = method.__name__.removeprefix("_")
    return runs


def aiterating(method: Callable[Concatenate[S, P], Pages[T]]) -> Callable[Concatenate[S, P], AsyncIterator[T]]:
    """Makes a method for `async for` over the results of one that has pages."""

    @wraps(method)
    async def runs(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        pages = method(self, *args, **kwargs)
        while (page := await arun(self, _next_page(pages))) is not None:
            for each in page:
                yield each

    runs.__name__ = "a" + method.__name__.removeprefix("_")
    return runs


def merged(base: Mapping[str, T], mine: Mapping[str, T], theirs: Mapping[str, T]) -> dict[str, T]:
    """What others have stored, with what has changed in a copy since it was made of `base`."""
    changed = {key for key in {**base, **mine} if key not in base or key not in mine or base[key] != mine[key]}
    kept = {key: value for key, value in theirs.items() if key not in changed}
    return kept | {key: value for key, value in mine.items() if key in changed}


def _next_page(pages: Pages[T]) -> Steps[list[T] | None]:
    """Asks what is asked until there is a page; None at the end."""
    try:
        asked = next(pages)
        while isinstance(asked, (Request, Pause)):
            try:
                answer = yield asked
            except StoreError as error:
                asked = pages.throw(error)
            else:
                asked = pages.send(answer)
        return asked
    except StopIteration:
        return None


class Remembered(Generic[K, V]):
    """Values by key, of which the longest unused go when there are too many. Threads can share it."""

    def __init__(self, most: int) -> None:
        """Takes how many there may be."""
        self._most = most
        self._kept: dict[K, V] = {}
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """Returns a value, and moves it to those that go last."""
        with self._lock:
            if key not in self._kept:
                return None
            value = self._kept[key] = self._kept.pop(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Adds or replaces a value."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = value
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]

    def drop(self, unwanted: Callable[[K], bool]) -> None:
        """Forgets the values of some keys."""
        with self._lock:
            self._kept = {key: value for key, value in self._kept.items() if not unwanted(key)}
