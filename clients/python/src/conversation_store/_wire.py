"""How requests are written and answers are read: what the operations have in common."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from .models import AddedMessages, Record, changed, read

T = TypeVar("T")
Version: TypeAlias = int | Literal["*"]
Params: TypeAlias = Sequence[tuple[str, str | int]]


@dataclass(frozen=True)
class Request(Generic[T]):
    """One request. It can be sent again after a lost answer: it reads, deletes, or has an `Idempotency-Key`."""

    method: str
    path: str
    parse: Callable[[httpx.Response], T]
    params: Params = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    more: Callable[[T], Request[T] | None] | None = None

    def next_page(self, answer: T) -> Request[T] | None:
        """The request for the page that follows an answer; None after the last one."""
        return self.more(answer) if self.more else None

    def __iter__(self) -> Generator[Request[Any], Any, T]:
        """Asks whoever runs these steps for the answer."""
        answer: T = yield self
        return answer


@dataclass(frozen=True)
class Pause:
    """Asks whoever runs these steps to wait."""

    seconds: float

    def __iter__(self) -> Generator[Pause, Any, None]:
        """Waits."""
        yield self


def pause(attempt: int) -> Pause:
    """Waits before another attempt: longer each time, with jitter, so that those who met do not meet again."""
    return Pause(random.uniform(0.5, 1.0) * min(0.02 * 2.0**attempt, 2.0))


Steps: TypeAlias = Generator[Request[Any] | Pause, Any, T]
"""Code that asks for the answers of requests, whichever client sends them."""


def send(
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    parse: Callable[[httpx.Response], T],
    params: Params = (),
) -> Request[T]:
    return Request(method, path, parse, params, headers | {"content-type": "application/json"}, _json(body))


def _json(body: Any) -> bytes:
    """As UTF-8, or where a string is cut through a character, which UTF-8 cannot say, with escapes."""
    dumps = partial(json.dumps, body, separators=(",", ":"), allow_nan=False)
    try:
        return dumps(ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return dumps().encode()


def keyed(given: str | bool | None) -> dict[str, str]:
    """Makes a write one that can be sent again, unless the caller wants it without a key (False)."""
    return {} if given is False else {"idempotency-key": given if isinstance(given, str) else str(uuid4())}


def conditions(
    *, if_match: Version | None = None, if_none_match: int | None = None, if_absent: bool = False
) -> dict[str, str]:
    headers = {}
    if if_match is not None:
        headers["if-match"] = "*" if if_match == "*" else f'"{if_match}"'
    if if_none_match is not None:
        headers["if-none-match"] = f'"{if_none_match}"'
    if if_absent:
        headers["if-none-match"] = "*"
    return headers


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def query(**params: str | int | None) -> list[tuple[str, str | int]]:
    return [(name, value) for name, value in params.items() if value is not None]


def etag(answer: httpx.Response) -> int:
    return int(answer.headers["etag"].strip('"'))


def one(kind: type[T]) -> Callable[[httpx.Response], T]:
    return lambda answer: read(kind, answer.json())


def record(answer: httpx.Response) -> Record:
    return Record.read(answer.json())


def page_of(kind: type[T], entry: Callable[[Mapping[str, Any]], Any] = dict) -> Callable[[httpx.Response], T]:
    def parse(answer: httpx.Response) -> T:
        body = answer.json()
        version = {"version": etag(answer)} if "etag" in answer.headers else {}
        return read(kind, {**version, **body, "data": [entry(each) for each in body["data"]]})

    return parse


def after_last(again: Callable[..., Request[T]]) -> Callable[[Any], Request[T] | None]:
    return lambda page: again(after=page.last_id) if page.has_more else None


def added(answer: httpx.Response) -> AddedMessages:
    body = answer.json()
    return read(AddedMessages, {**body, "records": [changed(each) for each in body.get("records") or ()]})
