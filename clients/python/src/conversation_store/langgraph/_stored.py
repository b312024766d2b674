"""How checkpoints are stored as records, and which of them may go. Nothing here talks to the store.

    lg/c{namespace}/{checkpoint}         a checkpoint: all but those values of channels that are larger than a few bytes
    lg/b{namespace}/{channel}/{version}  such a value, stored when it has changed
    lg/w{namespace}/{checkpoint}/{task}  what a task wrote; an error, schedule, interrupt or resume at `/1` to `/4`
    lg/r/{run}                           marks that a run has checkpoints in this thread
    lg/n                                 the name of the thread, where the conversation's id is a digest of it
    lg/u                                 since when values are unused, as `_drop` has it

Among the owner's records, `lg/r/{run}/{conversation}` marks that a run has checkpoints in a thread. Parts of keys are
as `keys.pack` makes them, values as LangGraph's serializer does, deflated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_id,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ..keys import conversation_id, expand, name_of, pack, squeeze, unpack
from ..models import Put, Record

Rows: TypeAlias = Sequence[Sequence[Any]]
"""Writes of a task, each with its place, its channel and its value."""

Writes: TypeAlias = Mapping[str, list[PendingWrite]]
"""The writes of checkpoints, by what their keys begin with."""

ALL = "lg/"
BLOBS, CHECKPOINTS, MARKS, NAME, WRITES = "lg/b", "lg/c", "lg/r", "lg/n", "lg/w"
IN_ORDER = (MARKS, BLOBS, WRITES, CHECKPOINTS)
"""Checkpoints come last: what belongs to one is there before it is."""

_WORDS = (
    b"\xa4tool\xa2id\xa4name\xa4args\xa4type\xa7content\xb1additional_kwargs\xb1response_metadata"
    b"\xbalangchain_core.messages.ai\xa9AIMessage\xacHumanMessage\xb3model_validate_json\xb1~__pregel_pull, "
    b"\x95\xd9$1f\x85\xa1v\x04\xa2ts\xd9 2026-11-27T00:00:00.000000+00:00"
    b"\xb0channel_versions\x84\xa9__start__\xcf\x00\x00\x00\xa8messages\xcf\x00\x00\x00"
    b"\xafbranch:to:agent\xcf\x00\x00\x00\xafbranch:to:tools\xcf\x00\x00\x00"
    b"\xadversions_seen\x84\xa9__input__\x80\xad__interrupt__\x80\xa9__start__\x81\xa9__start__\xcf\x00\x00\x00"
    b"\xa5agent\x81\xafbranch:to:agent\xb0updated_channels\x92\xa8messages"
    b"\x83\xa6source\xa5input\xa6source\xa4loop\xa4step\xcc\xa7parents\x80\x80\x91\xa8messages"
)
"""What values are likely to contain. It is a part of the format: after a change, what is stored cannot be read."""


def checkpoint_key(ns: str, id: str = "") -> str:
    """The key of a checkpoint; without `id`, what those of a namespace begin with."""
    return f"{CHECKPOINTS}{pack(ns)}/{pack(id)}"


def writes_key(ns: str, id: str, task: str = "") -> str:
    """The key of what a task wrote; without `task`, what those of a checkpoint begin with."""
    return f"{WRITES}{pack(ns)}/{pack(id)}/{pack(task)}"


def writes_prefix(key: str) -> str:
    """What the keys of all writes of a checkpoint begin with, of one of them."""
    return "/".join([*key.split("/")[:3], ""])


def blob_key(ns: str, channel: str, version: str | int | float) -> str:
    """The key of a channel's value."""
    return f"{BLOBS}{pack(ns)}/{pack(channel)}/{f'{version:x}' if isinstance(version, int) else pack(f'={version}')}"


def mark_key(run: str) -> str:
    """The key of a run's mark in a thread."""
    return f"{MARKS}/{pack(run)}"


def index_key(mark: str, conversation: str) -> str:
    """The key of the same mark among the owner's records."""
    return f"{mark}/{pack(conversation)}"


def name_puts(thread: str) -> list[Put]:
    """The record of a thread's name, if that does not follow from the id of its conversation."""
    if name_of(conversation_id(thread)) is not None:
        return []
    return [Put(NAME, thread.encode("utf-8", "surrogatepass"))]


def address(config: RunnableConfig) -> tuple[str, str, str | None]:
    """Thread, namespace and checkpoint of a config."""
    configurable = config["configurable"]
    return str(configurable["thread_id"]), configurable.get("checkpoint_ns", ""), get_checkpoint_id(config)


def config_of(thread: str, ns: str, id: str) -> RunnableConfig:
    """The config that addresses a checkpoint."""
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": id}}


def is_small(value: Any) -> bool:
    """Whether a value is so small that a record of its own would be larger than to repeat it in each checkpoint."""
    return value is None or type(value) in (bool, int, float) or (type(value) is str and len(value) <= 16)


@dataclass(eq=False)
class Saved:
    """A checkpoint as it is stored: `small` values of channels, and the names of channels whose value is a record."""

    ns: str
    id: str
    parent: str | None
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    small: dict[str, Any]
    large: list[str]
    revision: int | None = None

    @property
    def key(self) -> str:
        """The key of the checkpoint."""
        return checkpoint_key(self.ns, self.id)

    @property
    def writes(self) -> str:
        """What the keys of its writes begin with."""
        return writes_key(self.ns, self.id)

    @property
    def blobs(self) -> dict[str, str]:
        """The keys of its values by channel."""
        return {name: blob_key(self.ns, name, self.checkpoint["channel_versions"][name]) for name in self.large}

    def matches(self, id: str | None, before: str | None, metadata: Mapping[str, Any] | None) -> bool:
        """Whether it is the checkpoint `id`, is older than `before`, and has all of `metadata`."""
        inside = id in (None, self.id) and (before is None or self.id < before)
        return inside and all(self.metadata.get(name) == value for name, value in (metadata or {}).items())

    def has(self, channel: str) -> bool:
        """Whether it has a value of the channel."""
        return channel in self.small or channel in self.large


@dataclass(frozen=True)
class Codec:
    """Reads and writes the values of records."""

    serde: SerializerProtocol

    def dump(self, value: Any) -> bytes:
        """A value's type, which is left out if it is the usual one, and its bytes."""
        kind, data = self.serde.dumps_typed(value)
        return ("" if kind == "msgpack" else kind).encode() + b"\0" + squeeze(data, _WORDS)

    def load(self, record: Record) -> Any:
        """The value of a record."""
        kind, _, data = (record.value or b"").partition(b"\0")
        return self.serde.loads_typed((kind.decode() or "msgpack", expand(data, _WORDS)))

    def checkpoint_puts(
        self,
        ns: str,
        parent: str | None,
        checkpoint: Checkpoint,
        metadata: dict[str, Any],
        new_versions: ChannelVersions,
        complete: bool,
    ) -> list[Put]:
        """The records of a checkpoint: those of the large values that are new, or all, and the last, its own."""
        values = checkpoint["channel_values"]
        small = {name: value for name, value in values.items() if is_small(value)}
        large = [name for name in checkpoint["channel_versions"] if name in values and name not in small]
        rest = {name: value for name, value in checkpoint.items() if name not in ("id", "channel_values")}
        new = {name: version for name, version in new_versions.items() if name in values and name not in small}
        if complete:
            new |= {name: checkpoint["channel_versions"][name] for name in large}
        puts = [Put(blob_key(ns, name, version), self.dump(values[name])) for name, version in new.items()]
        return [*puts, self.put(Saved(ns, checkpoint["id"], parent, rest, metadata, small, large))]

    def put(self, saved: Saved) -> Put:
        """The record of a checkpoint; of one that was read, to be stored only if it has not changed since."""
        body = [saved.parent, saved.checkpoint, saved.metadata, saved.small, saved.large]
        return Put(saved.key, self.dump(body), if_match=saved.revision)

    def task_puts(self, key: str, path: str, rows: Rows, there: Rows, revision: int | None) -> list[Put]:
        """The records of what a task wrote: of each special write, and of the others, with those that are `there`."""
        places = {place for place, _, _ in there}
        new = [row for row in rows if row[0] >= 0 and row[0] not in places]
        puts = {row[0]: Put(f"{key}/{-row[0]}", self.dump((path, [row]))) for row in rows if row[0] < 0}
        if new:
            value = self.dump((path, [*there, *new]))
            puts[0] = Put(key, value, if_match=revision, if_absent=revision is None)
        return [*puts.values()]

    def saved(self, record: Record) -> Saved:
        """The checkpoint of a record."""
        ns, id = (unpack(part) for part in record.key.removeprefix(CHECKPOINTS).split("/"))
        parent, checkpoint, metadata, small, large = self.load(record)
        return Saved(ns, id, parent, checkpoint, metadata, small, large, record.revision)

    def values(self, saved: Saved, found: Mapping[str, Record]) -> dict[str, Any]:
        """The values of a checkpoint's channels."""
        return saved.small | {name: self.load(found[key]) for name, key in saved.blobs.items()}

    def writes(self, found: Mapping[str, Record]) -> Writes:
        """Writes by what their keys begin with, in the order in which LangGraph applies them."""
        rows: defaultdict[str, list[tuple[tuple[str, str, int], PendingWrite]]] = defaultdict(list)
        for key, record in found.items():
            if key.startswith(WRITES):
                task = unpack(key.split("/")[3])
                path, writes = self.load(record)
                rows[writes_prefix(key)] += [
                    (writes_sort_key(path, task, place), (task, channel, value)) for place, channel, value in writes
                ]
        order = {prefix: [write for _, write in sorted(its, key=lambda row: row[0])] for prefix, its in rows.items()}
        return defaultdict(list, order)

    def history(
        self, path: Sequence[Saved], channel: str, found: Mapping[str, Record], writes: Writes
    ) -> DeltaChannelHistory:
        """What a channel is rebuilt from: its writes on a path of ancestors, and the value that the last one has."""
        mine = [write for it in reversed(path) for write in writes[it.writes] if write[1] == channel]
        history: DeltaChannelHistory = {"writes": mine}
        if path and path[-1].has(channel):
            last = path[-1]
            history["seed"] = last.small[channel] if channel in last.small else self.load(found[last.blobs[channel]])
        return history

    def tuple(
        self, thread: str, saved: Saved, found: Mapping[str, Record], writes: list[PendingWrite]
    ) -> CheckpointTuple:
        """What LangGraph wants to know of a checkpoint."""
        checkpoint: Any = {"id": saved.id, **saved.checkpoint, "channel_values": self.values(saved, found)}
        parent = config_of(thread, saved.ns, saved.parent) if saved.parent else None
        metadata: Any = saved.metadata
        return CheckpointTuple(config_of(thread, saved.ns, saved.id), checkpoint, metadata, parent, writes)


def superseded(checkpoints: Sequence[Saved]) -> list[Saved]:
    """All checkpoints but the latest of each namespace and those that it is rebuilt from.

    The value of a `DeltaChannel` is that of the nearest ancestor which has one, and the writes since: all ancestors up
    to that one stay. The namespace of a subgraph's call, which has a `:`, goes with the checkpoint it was made from.
    """
    by_key = {it.key: it for it in checkpoints}
    latest = {it.ns: it for it in sorted(checkpoints, key=lambda it: it.id)}
    deltas: defaultdict[str, set[str]] = defaultdict(set)
    for it in checkpoints:
        deltas[it.ns].update(it.metadata.get("counters_since_delta_snapshot", ()))
    kept: set[str] = set()
    for ns in sorted(latest):  # The root graph's namespace is the first.
        root = checkpoint_key("", latest[ns].metadata.get("parents", {}).get("") or "")
        if ":" in ns and root in by_key and root not in kept:
            continue
        at: Saved | None = latest[ns]
        missing = deltas[ns] & latest[ns].checkpoint["channel_versions"].keys()
        while at:
            kept.add(at.key)
            missing = {name for name in missing if not at.has(name)}
            at = by_key.get(checkpoint_key(ns, at.parent)) if at.parent and missing else None
    return [it for it in checkpoints if it.key not in kept]


def back_to_value(ancestors: Sequence[Saved], channel: str) -> Sequence[Saved]:
    """The ancestors back to the nearest one that has a value of the channel, or all."""
    depth = next((place for place, it in enumerate(ancestors, 1) if it.has(channel)), len(ancestors))
    return ancestors[:depth]


def of_run(run: str, checkpoints: Sequence[Saved]) -> list[Saved]:
    """The checkpoints of a run."""
    return [it for it in checkpoints if it.metadata.get("run_id") == run]
