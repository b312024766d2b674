"""A LangGraph checkpointer over the records of conversations. Needs the extra `conversation-store[langgraph]`.

    with ConversationStore("http://127.0.0.1:9000") as store:
        graph = builder.compile(checkpointer=ConversationStoreSaver(store))
        graph.invoke({"messages": [...]}, {"configurable": {"thread_id": "trip"}})

A thread is the conversation of the same id (`keys.conversation_id` says which, if that is no id), and its checkpoints
are records beside the messages: they go with the conversation when that is deleted.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from .. import operations
from ..adapters import Pages, Store, aiterating, awaiting, blocking, iterating
from ..bulk import all_of, read_many_records, write_many_records
from ..errors import Conflict, NotFound, RevisionMismatch, TooLarge
from ..keys import conversation_id, name_of, pack, unpack
from ..models import Delete, Put, RecordPage
from ..operations import Request, Steps
from . import _stored
from ._stored import Codec, Saved, address, config_of

_Next: TypeAlias = Request[RecordPage] | None
_PAGE = 100
_RUNS_REMEMBERED = 1000
_ORPHANED_SECONDS = 3600


class ConversationStoreSaver(BaseCheckpointSaver[Any]):
    """Keeps checkpoints in the conversation store, with sync and async methods.

    Over a `ConversationStore` the async methods use threads; over an `AsyncConversationStore` there are only these. The
    value of a channel, and what a task writes, may have 4 MiB when it is deflated.
    """

    def __init__(self, store: Store, *, serde: SerializerProtocol | None = None) -> None:
        """Takes a client and, for example to encrypt values, another serializer."""
        super().__init__(serde=serde)
        self.store = store
        self._runs: dict[tuple[str, str], None] = {}

    @property
    def _codec(self) -> Codec:
        return Codec(self.serde)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Gives a version that is above the current one, and another one in each branch of a thread."""
        if isinstance(current, str):  # Of a thread that came from another checkpointer.
            return f"{int(current.split('.')[0]) + 1:032}.{random.random():016}"
        return ((int(current or 0) >> 32) + 1) << 32 | random.getrandbits(32)

    def _get_tuple(self, config: RunnableConfig) -> Steps[CheckpointTuple | None]:
        """Returns the checkpoint of `config`, or the latest of its thread and namespace, in two requests."""
        thread, ns, id = address(config)
        key = _stored.checkpoint_key(ns, id or "")
        where: dict[str, Any] = {"key": [key]} if id else {"prefix": key, "order": "desc", "limit": 1}
        page = yield from operations.list_records(conversation_id(thread), values=True, **where)
        tuples = yield from self._tuples(thread, [self._codec.saved(record) for record in page.data])
        return tuples[0] if tuples else None

    def _list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Pages[CheckpointTuple]:
        """Yields the checkpoints of a thread, newest first; without a config, of one conversation after another."""
        configurable = config["configurable"] if config else {}
        ns, id = configurable.get("checkpoint_ns"), configurable.get("checkpoint_id")
        until = before["configurable"].get("checkpoint_id") if before else None
        prefix = _stored.CHECKPOINTS if ns is None else _stored.checkpoint_key(ns, id or "")
        after = _stored.checkpoint_key(ns, until) if until and ns is not None else None
        left = math.inf if limit is None else max(limit, 0)
        size = int(_PAGE if filter else min(left or 1, _PAGE))
        for thread in [configurable["thread_id"]] if config else (yield from self._threads()):
            request: _Next = operations.list_records(
                conversation_id(str(thread)), prefix=prefix, after=after, order="desc", limit=size, values=True
            )
            while request and left:
                page = yield from request
                records, request = page.data, request.next_page(page)
                if ns is None:  # Keys are in the order of namespaces, tuples in that of checkpoints.
                    records, request = records + (yield from all_of(request)), None
                found = [it for it in map(self._codec.saved, records) if it.matches(id, until, filter)]
                found.sort(key=lambda it: it.id, reverse=True)
                while found and left:
                    count = int(min(left, _PAGE))
                    yield (yield from self._tuples(str(thread), found[:count]))
                    left, found = left - len(found[:count]), found[count:]

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        """Stores a checkpoint, and the values of the channels that changed, in one commit."""
        thread, ns, parent = address(config)
        told: dict[str, Any] = {**get_checkpoint_metadata(config, metadata)}
        changes = self._codec.checkpoint_puts(ns, parent, checkpoint, told, new_versions)
        mark = (str(told["run_id"]), thread) if told.get("run_id") else None
        if mark and mark not in self._runs:
            # By this `delete_for_runs` finds the thread. It is there before the checkpoint is.
            yield from operations.write_records(None, [Put(_stored.mark_key(*mark), "")], idempotency_key=False)
            changes.insert(0, Put(_stored.mark_key(mark[0]), ""))
        yield from write_many_records(conversation_id(thread), changes)
        if mark and mark not in self._runs:
            self._runs = dict.fromkeys([*self._runs, mark][-_RUNS_REMEMBERED:])
        return config_of(thread, ns, checkpoint["id"])

    def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> Steps[None]:
        """Stores what a task wrote. What is there stays; only an error, schedule, interrupt or resume is replaced."""
        thread, ns, id = address(config)
        key = _stored.writes_key(ns, str(id), task_id)
        rows = [(WRITES_IDX_MAP.get(channel, place), channel, value) for place, (channel, value) in enumerate(writes)]
        there: list[Any] = []
        revision: int | None = None
        while True:
            changes = self._codec.task_puts(key, task_path, rows, there, revision)
            try:
                yield from write_many_records(conversation_id(thread), changes)
                return
            except RevisionMismatch:
                found = yield from read_many_records(conversation_id(thread), keys=[key])
                revision = found[key].revision if found else None
                there = self._codec.load(found[key])[1] if found else []

    def _delete_thread(self, thread_id: str) -> Steps[None]:
        """Deletes the checkpoints of a thread. The conversation and its messages stay."""
        conversation = conversation_id(thread_id)
        marks = yield from read_many_records(conversation, prefixes=[_stored.MARKS], values=False)
        yield from write_many_records(None, [Delete(f"{mark}/{pack(thread_id)}") for mark in marks])
        self._runs = {mark: None for mark in self._runs if mark[1] != thread_id}
        while (yield from operations.delete_records(conversation, _stored.ALL, idempotency_key=False)).has_more:
            pass

    def _copy_thread(self, source_thread_id: str, target_thread_id: str) -> Steps[None]:
        """Copies the checkpoints of a thread: to a new one in one commit, as a fork without messages, else by pages."""
        source, target = conversation_id(source_thread_id), conversation_id(target_thread_id)
        marks = yield from read_many_records(source, prefixes=[_stored.MARKS], values=False)
        yield from write_many_records(None, [Put(f"{mark}/{pack(target_thread_id)}", "") for mark in marks])
        try:
            yield from operations.create_conversation(id=target, fork_of=source, at=0, records_prefix=_stored.ALL)
        except NotFound:
            return
        except (Conflict, TooLarge):
            for prefix in _stored.IN_ORDER:
                request: _Next = operations.list_records(source, prefix=prefix, limit=1000, values=True)
                while request:
                    page = yield from request
                    yield from write_many_records(target, [Put(it.key, it.value or b"") for it in page.data])
                    request = request.next_page(page)

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[None]:
        """Deletes the checkpoints of runs in all threads, with their writes and the values that no other has."""
        for run_id in run_ids:
            mark = _stored.mark_key(run_id)
            index = yield from read_many_records(None, prefixes=[f"{mark}/"], values=False)
            for thread in [unpack(key.rpartition("/")[2]) for key in index]:
                yield from self._drop(thread, partial(_stored.of_run, run_id))
                yield from write_many_records(conversation_id(thread), [Delete(mark)])
            yield from write_many_records(None, [Delete(key) for key in index])

    def _prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> Steps[None]:
        """Keeps the latest checkpoint of each namespace and what its delta channels are rebuilt from, or nothing."""
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"Unknown prune strategy: {strategy!r}")
        for thread in thread_ids:
            yield from self._delete_thread(thread) if strategy == "delete" else self._drop(thread, _stored.superseded)

    def _drop(self, thread: str, choose: Callable[[Sequence[Saved]], Sequence[Saved]]) -> Steps[None]:
        """Deletes chosen checkpoints, with their writes and the values that no other has. Runs may go on meanwhile."""
        conversation = conversation_id(thread)
        # Values are read before checkpoints: one that is stored meanwhile, with its checkpoint, is then no orphan.
        blobs = yield from read_many_records(conversation, prefixes=[_stored.BLOBS], values=False)
        records = yield from read_many_records(conversation, prefixes=[_stored.CHECKPOINTS])
        writes = yield from read_many_records(conversation, prefixes=[_stored.WRITES], values=False)
        changes = self._codec.removal(blobs.values(), records.values(), writes, choose, time.time() - _ORPHANED_SECONDS)
        yield from write_many_records(conversation, changes)

    def _get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Steps[Mapping[str, DeltaChannelHistory]]:
        """Returns for each channel the value of the nearest ancestor that has one, and what was written since."""
        thread, ns, wanted = address(config)
        prefix = _stored.checkpoint_key(ns)
        after = f"{prefix}{pack(wanted)}~" if wanted else None  # The first key is that of the checkpoint itself.
        where: dict[str, Any] = {"prefix": prefix, "after": after, "order": "desc", "limit": _PAGE}
        request: _Next = operations.list_records(conversation_id(thread), values=True, **where)
        chain: list[Saved] = []
        while request and wanted != "" and not all(any(it.has(name) for it in chain[1:]) for name in channels):
            page = yield from request
            for saved in map(self._codec.saved, page.data):
                if wanted in (None, saved.id):
                    chain.append(saved)
                    wanted = saved.parent or ""
            request = request.next_page(page)
        paths = {name: _stored.back_to_value(chain[1:], name) for name in channels}
        steps = {it.key: it for path in paths.values() for it in path}.values()
        keys = [key for it in steps for name, key in it.blobs.items() if name in paths]
        found = yield from read_many_records(conversation_id(thread), keys=keys, prefixes=[it.writes for it in steps])
        writes = self._codec.writes(found)
        return {name: self._codec.history(path, name, found, writes) for name, path in paths.items()}

    def _threads(self) -> Steps[Sequence[str]]:
        conversations = yield from all_of(operations.list_conversations(limit=_PAGE))
        return [name_of(it.id) for it in conversations]

    def _tuples(self, thread: str, checkpoints: Sequence[Saved]) -> Steps[list[CheckpointTuple]]:
        keys = dict.fromkeys(key for it in checkpoints for key in it.blobs.values())
        prefixes = [it.writes for it in checkpoints]
        found = yield from read_many_records(conversation_id(thread), keys=keys, prefixes=prefixes)
        writes = self._codec.writes(found)
        return [self._codec.tuple(thread, it, found, writes[it.writes]) for it in checkpoints]

    get_tuple, aget_tuple = blocking(_get_tuple), awaiting(_get_tuple)
    list, alist = iterating(_list), aiterating(_list)
    put, aput = blocking(_put), awaiting(_put)
    put_writes, aput_writes = blocking(_put_writes), awaiting(_put_writes)
    delete_thread, adelete_thread = blocking(_delete_thread), awaiting(_delete_thread)
    copy_thread, acopy_thread = blocking(_copy_thread), awaiting(_copy_thread)
    delete_for_runs, adelete_for_runs = blocking(_delete_for_runs), awaiting(_delete_for_runs)
    prune, aprune = blocking(_prune), awaiting(_prune)
    get_delta_channel_history = blocking(_get_delta_channel_history)
    aget_delta_channel_history = awaiting(_get_delta_channel_history)
