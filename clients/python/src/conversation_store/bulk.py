"""Many records at once, in as few requests as the limits of requests and answers allow."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from . import operations
from ._wire import Request, Steps
from .errors import TooLarge
from .models import Change, Changed, Order, Put, Record

_URL_BYTES = 6000
_PARAMS = 1000
_BATCH_RECORDS = 100
_BATCH_BYTES = 3_900_000


def read_many_records(
    conversation_id: str | None,
    *,
    keys: Iterable[str] = (),
    prefixes: Iterable[str] = (),
    order: Order | None = None,
    values: bool = True,
) -> Steps[dict[str, Record]]:
    """Reads all records that begin with one of the prefixes, and then all of these keys, a page after the other."""
    found: dict[str, Record] = {}
    for key, prefix in _urls([*(("prefix", it) for it in prefixes), *(("key", it) for it in keys)]):
        first = operations.list_records(conversation_id, key=key, prefix=prefix, order=order, limit=1000, values=values)
        for record in (yield from all_of(first)):
            found[record.key] = record
    return found


def all_of(request: Request[Any] | None) -> Steps[list[Any]]:
    """Reads the page of a request and all that follow it."""
    data: list[Any] = []
    while request:
        page = yield from request
        data += page.data
        request = request.next_page(page)
    return data


def write_many_records(
    conversation_id: str | None, changes: Iterable[Change], *, keyed: bool = True
) -> Steps[list[Changed]]:
    """Stores and deletes records in their order, all or none where one batch takes them.

    Each batch has an `Idempotency-Key`, unless the changes do without: those of which each depends on what is there. A
    batch that is too large for what is in front of the server is sent in halves, each with a key of its own.
    """
    written: list[Changed] = []
    batches = deque(_batches(changes))
    while batches:
        batch = batches.popleft()
        try:
            written += yield from _write_batch(conversation_id, batch, keyed)
        except TooLarge:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            batches.extendleft([batch[half:], batch[:half]])
    return written


def _write_batch(conversation_id: str | None, batch: Sequence[Change], keyed: bool) -> Steps[list[Changed]]:
    first, key = batch[0], None if keyed else False
    if isinstance(first, Put) and size_of(first) > _BATCH_BYTES:
        conditions: dict[str, Any] = {"if_match": first.if_match, "if_absent": first.if_absent}
        return [(yield from operations.put_record(conversation_id, first.key, first.value, **conditions))]
    return (yield from operations.write_records(conversation_id, batch, idempotency_key=key))


def _urls(params: Sequence[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Keys and prefixes that fit into one URL each."""
    part: list[tuple[str, str]] = []
    size = 0
    for name, value in params:
        cost = len(name) + len(quote(value, safe="")) + 2
        if part and (size + cost > _URL_BYTES or len(part) == _PARAMS):
            yield _split(part)
            part, size = [], 0
        part.append((name, value))
        size += cost
    if part:
        yield _split(part)


def _split(params: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [it for name, it in params if name == "key"], [it for name, it in params if name == "prefix"]


def _batches(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Batches that fit into one request each; a record that is too large for base64 is alone, and sent as it is."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        if batch and (size + size_of(change) > _BATCH_BYTES or len(batch) == _BATCH_RECORDS):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += size_of(change)
    if batch:
        yield batch


def size_of(change: Change) -> int:
    """About the bytes of a change in a request, as Lambda counts them: as JSON within a JSON string."""
    if not isinstance(change, Put):
        return len(change.key) + 64
    if isinstance(change.value, bytes):
        return len(change.key) + len(change.value) * 4 // 3 + 64
    text = json.dumps(change.value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return len(change.key) + len(text) + text.count(b'"') + text.count(b"\\") + 64
