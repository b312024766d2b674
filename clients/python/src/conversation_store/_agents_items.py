"""How items of the Agents SDK are stored as messages: for `agents`.

An item that the store takes, and returns as it came, is a message, so that others can read it. Any other one is
wrapped: `{"type": "agents_item", "item": ...}`, or as JSON text, `{"type": "agents_item", "json": "..."}`, if it nests
too deep or has numbers that JSON has not. These are envelopes of encrypted sessions, item references, which stand for
nothing here, and items with fields that the store has for itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from .batches import TYPE as BATCH
from .batches import Entry, is_storable
from .models import Message

_WRAPPED = "agents_item"
_RESERVED = frozenset({"seq", "created_at", "item_id"})
_TAKEN = frozenset({_WRAPPED, BATCH, "item_reference", ""})  # Types that the store, or this package, takes for more.
_ROLES = frozenset({"system", "developer", "user", "human", "assistant", "ai", "tool", "function"})
_LISTS = ("parts", "tool_calls")


def messages_of(items: Sequence[Any]) -> list[Message]:
    """Items as messages, with ids of their own: an item may come twice with one id, and again after it was removed."""
    name = uuid4().hex
    return [_message(item, f"item_{name}_{at}") for at, item in enumerate(items)]


def item_of(entry: Entry) -> Any:
    """The item of a message, which somebody else may have added."""
    message = entry.message
    if message.get("type") == _WRAPPED and ("item" in message or "json" in message):
        return message["item"] if "item" in message else json.loads(message["json"])
    own = {"id": message["item_id"]} if "item_id" in message else {}
    return {**own, **{name: value for name, value in message.items() if name != "id" and name not in _RESERVED}}


def _message(item: Any, id: str) -> Message:
    text = json.dumps(item)
    if not is_storable(item):
        return {"type": _WRAPPED, "id": id, "json": text}
    if not _is_plain(item):
        return {"type": _WRAPPED, "id": id, "item": item}
    return {**item, "id": id, **({"item_id": item["id"]} if "id" in item else {})}


def _is_plain(item: Any) -> bool:
    """Whether the store takes an item as a message or as an item, by the rules of its contract."""
    if not isinstance(item, Mapping) or not all(isinstance(name, str) for name in item) or _RESERVED & item.keys():
        return False
    given = {name: value for name, value in item.items() if value is not None}
    kind, role = given.get("type"), given.get("role")
    if not isinstance(kind, str | None) or kind in _TAKEN:
        return False
    if role is None:
        return kind is not None and kind != "message"
    texts = all(isinstance(given.get(name), str | None) for name in ("name", "tool_call_id"))
    lists = all(isinstance(given.get(name, []), list) and all(map(_is_part, given.get(name, []))) for name in _LISTS)
    content = given.get("content")
    if content is None:
        spoken = role in ("assistant", "ai", "function") or kind not in (None, "message")
    else:
        spoken = isinstance(content, str) or (isinstance(content, list) and all(map(_is_part, content)))
    return role in _ROLES and texts and lists and spoken and isinstance(given.get("metadata", {}), Mapping)


def _is_part(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("type"), str)
