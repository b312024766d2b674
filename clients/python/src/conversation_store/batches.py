"""How messages are stored that are too many or too large for one commit: for `history`.

They are stored before the commit, in records `batch/{digest}/{part}`. The commit then adds one message of type
`record_batch` in their place: nobody sees a part of them. Nothing here talks to the store.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .keys import expand, squeeze
from .models import Change, Delete, Message, Put, Record

PREFIX = "batch/"
"""What the keys of the records of batches begin with."""

TYPE = "record_batch"
"""The type of the message that stands for a batch."""

_DEPTH = 90  # The store takes 100 levels of a message; what is stored may be within one.
_DIGEST = re.compile("[0-9a-f]{32}")
_MESSAGES = 99  # One less than a commit may have: what is left of a batch may come before them.
_MESSAGE_BYTES, _COMMIT_BYTES, _PART_BYTES = 250_000, 2_900_000, 500_000


@dataclass(frozen=True)
class Entry:
    """A message, the stored message that it is, or is in, and its place in that."""

    message: Message
    stored: Message
    place: int = 0


def batched(messages: Sequence[Message], beside: int = 0) -> tuple[Sequence[Message], list[Put]]:
    """The messages, or one in their place and the records that have them; so many bytes stand beside them."""
    encoded = [json.dumps(it, allow_nan=False) for it in messages]
    try:
        sizes = [_sizes(json.dumps(it, ensure_ascii=False).encode()) for it in messages]
    except UnicodeEncodeError:  # Then all of the request is sent with escapes.
        sizes = [_sizes(it.encode()) for it in encoded]
    fit = max((size for size, _ in sizes), default=0) <= _MESSAGE_BYTES
    if len(messages) <= _MESSAGES and fit and beside + sum(size for _, size in sizes) <= _COMMIT_BYTES:
        return messages, []
    parts: list[list[str]] = []
    room = 0
    for text in encoded:
        if not parts or len(text) > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(text)
        room -= len(text)
    digest = hashlib.sha256("".join(encoded).encode()).hexdigest()[:32]
    batch = {"type": TYPE, "id": messages[0]["id"], "digest": digest, "count": len(messages), "parts": len(parts)}
    values = [squeeze(f"[{','.join(part)}]".encode(), b"") for part in parts]
    return [batch], [Put(key, value) for key, value in zip(parts_of(batch), values, strict=True)]


def _sizes(text: bytes) -> tuple[int, int]:
    """The bytes of a message as it is sent, and as a part of a JSON string, which is how Lambda counts a request."""
    return len(text), len(text) + text.count(b'"') + text.count(b"\\")


def _is_batch(stored: Message) -> bool:
    """Whether a message stands for others; what somebody else may call a `record_batch` does not."""
    known = stored.keys() - {"seq", "created_at"} == {"type", "id", "digest", "count", "parts"}
    if not known or stored["type"] != TYPE or not _DIGEST.fullmatch(str(stored["digest"])):
        return False
    return all(type(stored[name]) is int and stored[name] > 0 for name in ("count", "parts"))


def parts_of(stored: Message) -> list[str]:
    """The keys of the records that a stored message stands for."""
    if not _is_batch(stored):
        return []
    return [f"{PREFIX}{stored['digest']}/{part:04}" for part in range(stored["parts"])]


def entries_of(stored: Message, parts: Mapping[str, Record]) -> list[Entry]:
    """A stored message, or those that it stands for."""
    if not _is_batch(stored):
        return [Entry(stored, stored)]
    messages = [it for key in parts_of(stored) for it in json.loads(expand(parts[key].value or b"", b""))]
    return [Entry(message, stored, place) for place, message in enumerate(messages[: stored["count"]])]


def deletions(stored: Iterable[Message]) -> list[Change]:
    """What deletes the records of stored messages."""
    return [Delete(key) for it in stored for key in parts_of(it)]


def is_storable(value: Any) -> bool:
    """Whether a value is JSON, without NaN and infinities, that does not nest too deep for the store."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    levels = [value]
    for _ in range(_DEPTH):
        inner = [
            it.values() if isinstance(it, Mapping) else it for it in levels if isinstance(it, (Mapping, list, tuple))
        ]
        levels = [it for each in inner for it in each]
        if not levels:
            return True
    return False
