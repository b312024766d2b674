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
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
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
from .._wire import Request, Steps, pause
from ..adapters import Pages, Remembered, Store, aiterating, awaiting, blocking, iterating
from ..bulk import all_of, read_many_records, write_many_records
from ..errors import Conflict, NotFound, RevisionMismatch, TooLarge, is_no_conversation
from ..keys import conversation_id, unpack
from ..models import Delete, Put, RecordPage
from . import _read, _stored
from ._drop import drop, is_recent
from ._stored import Codec, address, config_of

_Next: TypeAlias = Request[RecordPage] | None
_PAGE = 100
_REMEMBERED = 1000


class ConversationStoreSaver(BaseCheckpointSaver[Any]):
    """Keeps checkpoints in the conversation store, with sync and async methods.

    Over a `ConversationStore` the async methods use threads; over an `AsyncConversationStore` there are only these. The
    value of a channel, and what a task writes, may have 4 MiB when it is deflated.
    """

    def __init__(self, store: Store, *, serde: SerializerProtocol | None = None) -> None:
        """Takes a client and, for example to encrypt values, another serializer."""
        super().__init__(serde=serde)
        self.store = store
        self._marked = Remembered[tuple[str, str], bool](_REMEMBERED)  # Threads, and runs that are in the index.
        self._seen = Remembered[tuple[str, str, str], float](_REMEMBERED)  # When a checkpoint was read or stored.

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
        for attempt in count():
            now = time.monotonic()
            page = yield from operations.list_records(conversation_id(thread), values=True, **where)
            if not page.data:
                return None
            saved = self._codec.saved(page.data[0])
            tuples = yield from _read.tuples(self._codec, thread, [saved])
            if tuples:
                self._seen.put((thread, ns, saved.id), now)
                return tuples[0]
            yield from pause(attempt)  # It was deleted meanwhile: there may be a later one.
        raise AssertionError

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
        for thread in [configurable["thread_id"]] if config else (yield from _read.threads()):
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
                    yield (yield from _read.tuples(self._codec, str(thread), found[:count]))
                    left, found = left - len(found[:count]), found[count:]

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        """Stores a checkpoint, and the values of the channels that changed, in one commit.

        If its parent was not seen for a while, it stores all values: some may have been deleted with the parent.
        """
        thread, ns, parent = address(config)
        conversation, now = conversation_id(thread), time.monotonic()
        told: dict[str, Any] = {**get_checkpoint_metadata(config, metadata)}
        seen = self._seen.get((thread, ns, parent or ""))
        complete = seen is None or not is_recent(now - seen)
        changes = _stored.name_puts(thread)
        changes += self._codec.checkpoint_puts(ns, parent, checkpoint, told, new_versions, complete)
        run = str(told.get("run_id") or "")
        if run and not self._marked.get((thread, run)):
            # By this `delete_for_runs` finds the thread. It is there before the checkpoint is.
            mark = _stored.mark_key(run)
            yield from operations.write_records(None, [Put(_stored.index_key(mark, conversation), "")])
            changes.insert(0, Put(mark, ""))
        yield from write_many_records(conversation, changes)
        if run:
            self._marked.put((thread, run), True)
        self._seen.put((thread, ns, checkpoint["id"]), now)
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
        for attempt in count():
            changes = self._codec.task_puts(key, task_path, rows, there, revision)
            # A key would take as many bytes as the writes; what only adds to what is there depends on its revision.
            keyed = any(place < 0 for place, _, _ in rows)
            try:
                yield from write_many_records(conversation_id(thread), changes, keyed=keyed)
                return
            except RevisionMismatch:
                yield from pause(attempt)
                found = yield from read_many_records(conversation_id(thread), keys=[key])
                revision = found[key].revision if found else None
                there = self._codec.load(found[key])[1] if found else []

    def _delete_thread(self, thread_id: str) -> Steps[None]:
        """Deletes the checkpoints of a thread. The conversation and its messages stay."""
        conversation = conversation_id(thread_id)
        marks = yield from read_many_records(conversation, prefixes=[_stored.MARKS], values=False)
        yield from write_many_records(None, [Delete(_stored.index_key(mark, conversation)) for mark in marks])
        for remembered in (self._marked, self._seen):
            remembered.drop(lambda it: it[0] == thread_id)
        while (yield from operations.delete_records(conversation, _stored.ALL)).has_more:
            pass

    def _copy_thread(self, source_thread_id: str, target_thread_id: str) -> Steps[None]:
        """Copies the checkpoints of a thread: to a new one in one commit, as a fork without messages, else by pages."""
        source, target = conversation_id(source_thread_id), conversation_id(target_thread_id)
        marks = yield from read_many_records(source, prefixes=[_stored.MARKS], values=False)
        yield from write_many_records(None, [Put(_stored.index_key(mark, target), "") for mark in marks])
        try:
            yield from operations.create_conversation(id=target, fork_of=source, at=0, records_prefix=_stored.ALL)
        except NotFound as error:
            if not is_no_conversation(error):
                raise
            return
        except (Conflict, TooLarge):
            for prefix in _stored.IN_ORDER:
                request: _Next = operations.list_records(source, prefix=prefix, limit=1000, values=True)
                while request:
                    page = yield from request
                    yield from write_many_records(target, [Put(it.key, it.value or b"") for it in page.data])
                    request = request.next_page(page)
        yield from write_many_records(target, _stored.name_puts(target_thread_id))

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[None]:
        """Deletes the checkpoints of runs in all threads, with their writes and the values that no other has."""
        for run_id in run_ids:
            mark = _stored.mark_key(run_id)
            index = yield from read_many_records(None, prefixes=[f"{mark}/"], values=False)
            for conversation in [unpack(key.rpartition("/")[2]) for key in index]:
                yield from drop(conversation, self._codec, partial(_stored.of_run, run_id))
                yield from write_many_records(conversation, [Delete(mark)])
            yield from write_many_records(None, [Delete(key) for key in index])

    def _prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> Steps[None]:
        """Keeps the latest checkpoint of each namespace and what its delta channels are rebuilt from, or nothing."""
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"Unknown prune strategy: {strategy!r}")
        for thread in thread_ids:
            if strategy == "delete":
                yield from self._delete_thread(thread)
            else:
                yield from drop(conversation_id(thread), self._codec, _stored.superseded)

    def _get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Steps[Mapping[str, DeltaChannelHistory]]:
        """Returns for each channel the value of the nearest ancestor that has one, and what was written since."""
        return (yield from _read.delta_history(self._codec, config, channels))

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
