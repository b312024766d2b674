"""How messages of Strands Agents are stored: for `strands`."""

from __future__ import annotations

import json
from typing import Any

from strands.types.session import SessionMessage

from .batches import Entry, is_storable
from .keys import conversation_id


def message_of(agent_id: str, message: SessionMessage, suffix: str = "") -> dict[str, Any]:
    """The stored form of a message; by its id there is one of each number.

    What JSON has not, like the NaN that a tool returned, is in JSON text, as Strands' own repositories have it.
    """
    id = conversation_id("_".join(["strands", agent_id, str(message.message_id), *filter(None, [suffix])]))
    fields = message.to_dict()
    stored = {"type": "strands_message", "id": id, "agent": agent_id}
    return {**stored, "message": fields} if is_storable(fields) else {**stored, "json": json.dumps(fields)}


def agent_of(entry: Entry) -> str | None:
    """The agent of a message; None if it is none of an agent of Strands."""
    return entry.message["agent"] if entry.message.get("type") == "strands_message" else None


def fields_of(entry: Entry) -> dict[str, Any]:
    """A message as Strands has it."""
    fields: dict[str, Any] = json.loads(entry.message["json"]) if "json" in entry.message else entry.message["message"]
    return fields


def number_of(entry: Entry) -> int:
    """The number of a message among those of its agent."""
    return int(fields_of(entry)["message_id"])


def read_back(entry: Entry) -> SessionMessage:
    """The message of an entry."""
    return SessionMessage.from_dict(fields_of(entry))
