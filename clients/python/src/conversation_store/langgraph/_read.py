"""Reads of several requests, between which others may delete what is read: whole, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory

from .. import operations
from .._wire import Request, Steps
from ..bulk import all_of, read_many_records
from ..errors import StoreError
from ..keys import conversation_id, name_of, pack
from ..models import RecordPage
from ._stored import NAME, Codec, Saved, address, back_to_value, checkpoint_key

_Next: TypeAlias = Request[RecordPage] | None
_PAGE = 100


def tuples(codec: Codec, thread: str, checkpoints: Sequence[Saved], last: bool = False) -> Steps[list[CheckpointTuple]]:
    """The tuples of checkpoints that were read, without those of checkpoints that were deleted meanwhile."""
    keys = dict.fromkeys(key for it in checkpoints for key in (it.key, *it.blobs.values()))
    prefixes = [it.writes for it in checkpoints]
    # A checkpoint is deleted before its writes, and is read after them: if it is there, none of them is missing.
    found = yield from read_many_records(conversation_id(thread), keys=keys, prefixes=prefixes, order="desc")
    writes = codec.writes(found)
    whole: list[CheckpointTuple] = []
    for it in checkpoints:
        lacking = [key for key in it.blobs.values() if key not in found]
        if it.key in found and lacking and last:
            raise StoreError(f"Checkpoint {it.id} of thread {thread} lacks {lacking[0]}.")
        if it.key in found and lacking:
            whole += yield from tuples(codec, thread, [it], last=True)
        elif it.key in found:
            whole.append(codec.tuple(thread, it, found, writes[it.writes]))
    return whole


def delta_history(
    codec: Codec, config: RunnableConfig, channels: Sequence[str]
) -> Steps[Mapping[str, DeltaChannelHistory]]:
    """For each channel the value of the nearest ancestor that has one, and what was written since."""
    thread, _, id = address(config)
    for last in (False, True):
        chain = yield from _ancestors(codec, config, channels)
        paths = {name: back_to_value(chain[1:], name) for name in channels}
        steps = {it.key: it for path in paths.values() for it in path}.values()
        keys = [it.key for it in steps] + [key for it in steps for name, key in it.blobs.items() if name in paths]
        prefixes = [it.writes for it in steps]
        found = yield from read_many_records(conversation_id(thread), keys=keys, prefixes=prefixes, order="desc")
        lacking = [key for key in keys if key not in found]
        if id and not chain:
            lacking.append(id)
        if not lacking:
            writes = codec.writes(found)
            return {name: codec.history(path, name, found, writes) for name, path in paths.items()}
        if last:
            raise StoreError(f"Thread {thread} lacks {lacking[0]}.")
    raise AssertionError


def threads() -> Steps[Sequence[str]]:
    """The names of all threads, and of other conversations."""
    names = []
    for it in (yield from all_of(operations.list_conversations(limit=_PAGE))):
        name = name_of(it.id)
        if name is None:
            found = yield from read_many_records(it.id, keys=[NAME])
            name = (found[NAME].value or b"").decode("utf-8", "surrogatepass") if found else None
        if name is not None:
            names.append(name)
    return names


def _ancestors(codec: Codec, config: RunnableConfig, channels: Sequence[str]) -> Steps[list[Saved]]:
    """A checkpoint and its ancestors, back to those that have values of all channels."""
    thread, ns, wanted = address(config)
    prefix = checkpoint_key(ns)
    after = f"{prefix}{pack(wanted)}~" if wanted else None  # The first key is that of the checkpoint itself.
    where: dict[str, Any] = {"prefix": prefix, "after": after, "order": "desc", "limit": _PAGE}
    request: _Next = operations.list_records(conversation_id(thread), values=True, **where)
    chain: list[Saved] = []
    while request and wanted != "" and not all(any(it.has(name) for it in chain[1:]) for name in channels):
        page = yield from request
        for saved in map(codec.saved, page.data):
            if wanted in (None, saved.id):
                chain.append(saved)
                wanted = saved.parent or ""
        request = request.next_page(page)
    return chain
