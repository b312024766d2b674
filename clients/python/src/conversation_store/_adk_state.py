"""How names and states of ADK are stored: for `adk`.

Parts of keys are as `keys.pack_short` has them. A value is JSON, deflated if it is large. The key of a state whose name
is too long has a `/` before it, and its value is an object of the name and the value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from google.adk.sessions import Session, State
from pydantic_core import to_jsonable_python

from .keys import expand, pack_short, squeeze, unpack
from .models import Put, Record

ALL, STATE, PENDING, UPDATED, NAMES = "adk/", "adk/s/", "adk/p/", "adk/u", "adk/n"
_KEYS = 90  # Of the 100 records that one commit may have.
_LARGE, _TOGETHER = 500_000, 2_000_000
_DIGEST, _METADATA = "~.", 512


def conversation(*names: str) -> str:
    """The conversation of a session: a digest, since names may be of any characters and length."""
    return "adk_" + hashlib.sha256(json.dumps(names).encode()).hexdigest()


def prefix(*names: str) -> str:
    """What the keys of a state begin with."""
    return "".join(f"{pack_short(it)}/" for it in ("adk", *names))


def metadata(app: str, user: str | None = None, name: str | None = None) -> dict[str, str]:
    """The metadata by which sessions are found: names, or digests of those that metadata cannot have."""
    given = {"adk_app": app, "adk_user": user, "adk_session": name}
    return {key: _shown(value) for key, value in given.items() if value is not None}


def names_puts(app: str, user: str, name: str) -> list[Put]:
    """The record of a session's names, if its metadata cannot have them."""
    shown = metadata(app, user, name).values()
    return [] if list(shown) == [app, user, name] else [Put(NAMES, json.dumps([app, user, name]))]


def names_of(metadata: Mapping[str, str], records: Mapping[str, Record]) -> list[str]:
    """App, user and session."""
    if NAMES in records:
        return list(json.loads(records[NAMES].text))
    return [metadata["adk_app"], metadata["adk_user"], metadata["adk_session"]]


def keyed(prefix: str, name: str, value: Any) -> tuple[str, Any]:
    """The key of a value of a state, and what is stored there."""
    part = pack_short(name)
    return (f"{prefix}/{part}", {name: value}) if part.startswith(_DIGEST) else (prefix + part, value)


def own_puts(event: str, state: Mapping[str, Any]) -> list[Put]:
    """The records of what an event changes of its session's state."""
    puts = [Put(key, dumped(it)) for key, it in (keyed(STATE, name, value) for name, value in state.items())]
    if len(puts) > _KEYS or sum(len(it.value) for it in puts) > _TOGETHER:
        return [Put(f"{STATE}/{pack_short(event)}", dumped(dict(state)))]
    return puts


def dumped(value: Any) -> str | bytes:
    """A value as it is stored."""
    text = json.dumps(value)
    return text if len(text) <= _LARGE else squeeze(text.encode(), b"")


def loaded(record: Record) -> Any:
    """The value of a record."""
    data = record.value or b""
    return json.loads(expand(data, b"") if data[:1] in (b"\0", b"\1") else data)


def state_of(prefix: str, records: Mapping[str, Record]) -> dict[str, Any]:
    """The state that records with a prefix have."""
    state: dict[str, Any] = {}
    for record in sorted(records.values(), key=lambda it: it.revision):
        name = record.key.removeprefix(prefix)
        if name != record.key:
            state |= loaded(record) if name.startswith("/") else {unpack(name): loaded(record)}
    return state


def jsonable(state: Mapping[str, Any]) -> dict[str, Any]:
    """State as JSON has it; of what JSON has not, a description, and of bytes that are no text, base64."""
    return {name: _jsonable(value) for name, value in state.items()}


def session_of(app: str, user: str, name: str, records: Mapping[str, Record], scoped: Mapping[str, Record]) -> Session:
    """A session without events, of its records and of those of the owner."""
    state = state_of(STATE, records)
    state |= {State.APP_PREFIX + key: value for key, value in state_of(prefix("app", app), scoped).items()}
    state |= {State.USER_PREFIX + key: value for key, value in state_of(prefix("user", app, user), scoped).items()}
    updated = records[UPDATED].text if UPDATED in records else 0.0
    return Session(id=name, app_name=app, user_id=user, state=state, last_update_time=float(updated))


def _jsonable(value: Any) -> Any:
    try:
        return to_jsonable_python(value, inf_nan_mode="null", fallback=repr)
    except ValueError:  # Bytes that are not UTF-8.
        return to_jsonable_python(value, inf_nan_mode="null", fallback=repr, bytes_mode="base64")


def _shown(name: str) -> str:
    data = name.encode("utf-8", "surrogatepass")
    if len(name) <= _METADATA and data == name.encode("utf-8", "replace") and "\0" not in name:
        if not name.startswith(_DIGEST):
            return name
    return _DIGEST + hashlib.sha256(data).hexdigest()
