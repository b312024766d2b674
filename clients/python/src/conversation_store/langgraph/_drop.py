"""Deletes checkpoints, and values that no checkpoint has.

Runs may go on meanwhile. The next checkpoint of a run may refer to any value of the one that it began from, also after
that one was deleted. So a value is deleted by the first run of this that comes an hour after it was seen to be unused;
`lg/u` has since when it is. And a saver that last saw the parent of a checkpoint a while ago stores all values of the
checkpoint again: see `is_recent`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TypeAlias

from .._wire import Steps, pause
from ..bulk import read_many_records, write_many_records
from ..errors import RevisionMismatch
from ..keys import expand, squeeze
from ..models import Change, Delete, Put, Record
from ._stored import BLOBS, CHECKPOINTS, WRITES, Codec, Saved, checkpoint_key, writes_prefix

Choice: TypeAlias = Callable[[Sequence[Saved]], Sequence[Saved]]
"""Says which of all checkpoints of a thread are to go."""

_UNUSED = "lg/u"
_UNUSED_SECONDS = 3600


def is_recent(seconds: float) -> bool:
    """Whether all values of a checkpoint are there that was seen so many seconds ago, even if it was deleted since."""
    return seconds < _UNUSED_SECONDS / 2


def drop(conversation: str, codec: Codec, choose: Choice) -> Steps[None]:
    """Deletes chosen checkpoints with their writes, and values that are long unused."""
    for attempt in count():
        # Values are read before checkpoints: one that is stored meanwhile with its checkpoint is not seen as unused.
        blobs = yield from read_many_records(conversation, prefixes=[BLOBS], values=False)
        records = yield from read_many_records(conversation, prefixes=[CHECKPOINTS])
        writes = yield from read_many_records(conversation, prefixes=[WRITES], values=False)
        marks = yield from read_many_records(conversation, keys=[_UNUSED])
        checkpoints = [codec.saved(record) for record in records.values()]
        changes = _changes(codec, checkpoints, choose(checkpoints), blobs, writes.values(), marks.get(_UNUSED))
        try:
            yield from write_many_records(conversation, changes)
            return
        except RevisionMismatch:  # Somebody else deletes, or stores one of the values again.
            yield from pause(attempt)


def _changes(
    codec: Codec,
    checkpoints: Sequence[Saved],
    chosen: Iterable[Saved],
    blobs: Mapping[str, Record],
    writes: Iterable[Record],
    mark: Record | None,
) -> list[Change]:
    """What is to change for chosen checkpoints to go. Their children have no parent then.

    A checkpoint goes before its writes, so that who finds it after them has read all. What is left if this stops
    halfway is found by the next one.
    """
    now = time.time()
    old = now - _UNUSED_SECONDS
    gone = {it.key: it for it in chosen}
    kept = [it for it in checkpoints if it.key not in gone]
    children = [replace(it, parent=None) for it in kept if checkpoint_key(it.ns, it.parent or "") in gone]
    used = {key for it in kept for key in it.blobs.values()}
    freed = {key for it in gone.values() for key in it.blobs.values()}
    known = json.loads(expand(mark.value or b"", b"")) if mark else {}
    # A mark from before a checkpoint had the value again does not count.
    since = {key: now if key in freed else known.get(key, now) for key in blobs if key not in used}
    unused = [Delete(key, blobs[key].revision) for key, at in since.items() if at < old]
    places = {it.writes: it.key for it in checkpoints}
    ended = [
        Delete(it.key)
        for it in writes
        if (
            places.get(writes_prefix(it.key)) in gone
            if writes_prefix(it.key) in places
            else (it.updated_at or now) < old
        )
    ]
    marks = _marked({key: int(at) for key, at in since.items() if at >= old}, known, mark)
    return [*marks, *map(codec.put, children), *map(Delete, gone), *ended, *unused]


def _marked(since: Mapping[str, int], known: Mapping[str, int], mark: Record | None) -> list[Change]:
    """The change of the record of unused values, which must not have been changed by somebody else."""
    if since == known:
        return []
    if not since:
        return [Delete(_UNUSED, mark.revision if mark else None)]
    value = squeeze(json.dumps(since).encode(), b"")
    return [Put(_UNUSED, value, if_match=mark.revision if mark else None, if_absent=mark is None)]
