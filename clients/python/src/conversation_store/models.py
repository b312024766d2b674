"""What requests take and answers have. Fields that a newer server adds are ignored."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")

Message: TypeAlias = dict[str, Any]
"""A message of Chat Completions, of the AI SDK, or an item, with `id`, `seq` and `created_at` once it is stored."""

Item: TypeAlias = dict[str, Any]
"""A message, or a part of one, in the form of the OpenAI Conversations API."""

Order: TypeAlias = Literal["asc", "desc"]

Archived: TypeAlias = bool | Literal["any"]
"""Conversations that are not archived (False), only those that are (True), or both."""


@dataclass(frozen=True)
class Conversation:
    """A conversation without its messages. `version` counts its changes; times are Unix seconds.

    It expires after `expires_after` seconds without a change, or after the deployment's time if that is shorter: at
    `expires_at`.
    """

    id: str
    version: int
    message_count: int
    created_at: int
    updated_at: int
    metadata: dict[str, str]
    archived: bool
    title: str | None = None
    last_message_at: int | None = None
    forked_from: str | None = None
    forked_at: int | None = None
    expires_after: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True)
class Record:
    """A record. `value` is None where an answer has none: after a write, or in a list without values."""

    key: str
    revision: int
    size: int
    content_type: str
    updated_at: int | None = None
    value: bytes | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Record:
        """Reads the contract's record, whose value is text or base64."""
        value = data["value"].encode() if "value" in data else b64decode(data["base64"]) if "base64" in data else None
        return read(cls, {**data, "value": value})

    @property
    def text(self) -> str:
        """The value as text."""
        return (self.value or b"").decode()


@dataclass(frozen=True)
class Put:
    """A record to store in a batch, as text or bytes.

    With `if_match` only if it is at that revision ("*": at any), with `if_absent` only if it is not there.
    """

    key: str
    value: str | bytes
    content_type: str | None = None
    if_match: int | Literal["*"] | None = None
    if_absent: bool = False

    def json(self) -> dict[str, Any]:
        """The change as the contract has it."""
        value = {"value": self.value} if isinstance(self.value, str) else {"base64": b64encode(self.value).decode()}
        absent = "*" if self.if_absent else None
        more = {"content_type": self.content_type, "if_match": self.if_match, "if_none_match": absent}
        return {"key": self.key, **value, **{name: it for name, it in more.items() if it is not None}}


@dataclass(frozen=True)
class Delete:
    """A record to delete in a batch.

    With `if_match` only if it is at that revision. With `if_absent` the batch is done only if it is not there.
    """

    key: str
    if_match: int | Literal["*"] | None = None
    if_absent: bool = False

    def json(self) -> dict[str, Any]:
        """The change as the contract has it."""
        more = {"if_match": self.if_match, "if_none_match": "*" if self.if_absent else None}
        return {"key": self.key, "delete": True, **{name: it for name, it in more.items() if it is not None}}


@dataclass(frozen=True)
class RecordDeletion:
    """What a deletion of records did: how many there were, and if there are more to delete by the same request."""

    deleted: int
    key: str | None = None
    has_more: bool = False


Change: TypeAlias = Put | Delete
Changed: TypeAlias = Record | RecordDeletion


def changed(data: Mapping[str, Any]) -> Changed:
    """Reads what became of one change of a batch."""
    return Record.read(data) if data["object"] == "record" else read(RecordDeletion, data)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list; `has_more` in its direction."""

    data: list[T]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None


@dataclass(frozen=True)
class ConversationPage(Page[Conversation]):
    """A page of conversations; `before` and `after` are the cursors of its neighbours."""

    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class MessagePage(Page[Message]):
    """Messages, oldest first; `before` and `after` are the positions of the neighbouring pages."""

    after: int
    before: int | None = None
    version: int = 0


@dataclass(frozen=True)
class ItemPage(Page[Item]):
    """A page of items, or those that were added."""

    version: int = 0


@dataclass(frozen=True)
class RecordPage(Page[Record]):
    """Records in the order of their keys."""


@dataclass(frozen=True)
class AddedMessages:
    """Messages and records as they are stored.

    `id` is the conversation's, `version` its new one, and `deleted` how many messages were replaced.
    """

    id: str
    version: int
    data: list[Message]
    records: list[Changed] = field(default_factory=list)
    first_id: str | None = None
    last_id: str | None = None
    deleted: int = 0


@dataclass(frozen=True)
class ConversationDeletions:
    """What a deletion of many conversations did: how many it found, and how many of them it deleted."""

    dry_run: bool
    matched: int
    deleted: int
    has_more: bool


@dataclass(frozen=True)
class OwnerErasure:
    """An erasure of everything that an owner had; times are Unix seconds.

    Since `hidden_at` nobody can read any of it, and since `completed_at` nothing of it is left. `messages` and
    `records` were removed so far, and `remaining` counts what is still to be removed: conversations, and the owner's
    own records as one more.
    """

    id: str
    owner_hash: str
    shard: int
    requested_by: str
    requested_at: int
    conversations: int
    messages: int
    records: int
    remaining: int
    hidden_at: int | None = None
    completed_at: int | None = None


@dataclass(frozen=True)
class OwnerData:
    """How much an owner has, and the last erasure of it."""

    conversations: int
    messages: int
    records: int
    bytes: int
    erasure: OwnerErasure | None = None


@dataclass(frozen=True)
class ExportPage:
    """A page of an export, and the cursor to what follows it.

    `text` are lines of JSON, which the command `import` takes as they are.
    """

    text: str
    after: str | None = None

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines, parsed."""
        # Not `splitlines`: a string in JSON may have other ends of lines in it.
        return [json.loads(line) for line in self.text.split("\n") if line]


@dataclass(frozen=True)
class Health:
    """The state of the API, and with `deep` of its stores; `version` is that of the contract it speaks."""

    status: str
    version: str
    postgres: str | None = None
    redis: str | None = None


@cache
def _names(kind: Any) -> frozenset[str]:
    return frozenset(it.name for it in fields(kind))


def read(kind: Callable[..., T], data: Mapping[str, Any]) -> T:
    """Makes a dataclass of the fields that it knows."""
    return kind(**{name: value for name, value in data.items() if name in _names(kind)})
