"""The LangGraph checkpointer against a real server: LangGraph's own conformance suite, and what that does not see."""

import json
import operator
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import faults
import httpx
import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from conversation_store import AsyncConversationStore, ConversationStore, Put, RevisionMismatch, StoreError, TooLarge
from conversation_store.langgraph import ConversationStoreSaver, _stored

CONFIG: Any = {"configurable": {"thread_id": "trip"}}


class Counting(httpx.HTTPTransport):
    """Counts requests by method and whether they are about records of a conversation."""

    requests: list[str]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path.rpartition('/v1')[2]}")
        return super().handle_request(request)


@pytest.fixture
def counting() -> Counting:
    transport = Counting()
    transport.requests = []
    return transport


@pytest.fixture
def saver(base_url: str, owner: str, counting: Counting) -> Iterator[ConversationStoreSaver]:
    with ConversationStore(base_url, owner=owner, transport=counting) as store:
        store.health()  # A client whose first request is a write asks for the server's version before it.
        yield ConversationStoreSaver(store)


@pytest.mark.anyio
@pytest.mark.parametrize("client", [ConversationStore, AsyncConversationStore])
async def test_conformance(base_url: str, client: type[ConversationStore] | type[AsyncConversationStore]) -> None:
    @checkpointer_test(name=client.__name__)
    async def checkpointer() -> AsyncGenerator[ConversationStoreSaver, None]:
        store = client(base_url, owner=f"owner-{uuid4()}")
        yield ConversationStoreSaver(store)
        await store.aclose() if isinstance(store, AsyncConversationStore) else store.close()

    report = await validate(checkpointer)
    failures = [str(failure) for result in report.results.values() for failure in result.failures or ()]
    assert failures == [] and report.passed_all()
    assert sum(result.tests_passed for result in report.results.values()) == 81


# --- graphs


class Trip(TypedDict, total=False):
    places: Annotated[list[str], operator.add]
    budget: int
    guide: dict[str, str]


def asks(state: Trip) -> Trip:
    return {"places": [interrupt("Where to?")]}


def counts(state: Trip) -> Trip:
    return {"budget": state.get("budget", 0) + 100}


def trip(saver: BaseCheckpointSaver[Any]) -> Any:
    builder = StateGraph(Trip)
    builder.add_node("counts", counts)
    builder.add_node("asks", asks)
    builder.add_edge(START, "counts")
    builder.add_edge("counts", "asks")
    builder.add_edge("asks", END)
    return builder.compile(checkpointer=saver)


def test_an_interrupt_and_a_resume(saver: ConversationStoreSaver) -> None:
    graph = trip(saver)
    asked = graph.invoke({"places": ["Lisbon"], "guide": {"lisbon": "x" * 1000}}, CONFIG)
    assert asked["__interrupt__"][0].value == "Where to?" and graph.get_state(CONFIG).next == ("asks",)
    # Another process resumes it.
    again = trip(ConversationStoreSaver(saver.store))
    assert again.invoke(Command(resume="Porto"), CONFIG)["places"] == ["Lisbon", "Porto"]
    history = list(again.get_state_history(CONFIG))
    assert [it.metadata["step"] for it in history] == [2, 1, 0, -1] and history[0].values["budget"] == 100


@pytest.mark.anyio
@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's interrupt in async nodes needs Python 3.11")
async def test_the_same_with_asyncio(async_store: AsyncConversationStore) -> None:
    saver = ConversationStoreSaver(async_store)
    graph = trip(saver)
    await graph.ainvoke({"places": ["Lisbon"]}, CONFIG)
    assert (await graph.ainvoke(Command(resume="Porto"), CONFIG))["places"] == ["Lisbon", "Porto"]
    assert len([it async for it in graph.aget_state_history(CONFIG)]) == 4
    with pytest.raises(TypeError, match="async methods only"):
        saver.get_tuple(CONFIG)


def test_branches_do_not_share_values(saver: ConversationStoreSaver) -> None:
    graph = trip(saver)
    graph.invoke({"places": ["Lisbon"]}, CONFIG)
    before = graph.get_state(CONFIG).config
    ends = {}
    for place in ("Porto", "Faro"):
        branch = graph.update_state(before, {"places": [place]}, as_node="asks")
        ends[place] = graph.get_state(branch).config
    for place, config in ends.items():
        assert graph.get_state(config).values["places"] == ["Lisbon", place]


def test_a_killed_process_loses_nothing(
    saver: ConversationStoreSaver, base_url: str, owner: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    program = [sys.executable, str(Path(__file__).with_name("killed.py")), base_url, owner, str(log)]
    config: Any = {"configurable": {"thread_id": "job"}}
    process = subprocess.Popen([*program, "start"])
    try:
        # The second superstep has begun, and the one of its two nodes that does not hang is done.
        deadline = time.monotonic() + 60
        while not (saved := saver.get_tuple(config)) or (saved.metadata["step"], bool(saved.pending_writes)) != (
            1,
            True,
        ):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert log.read_text().split() == ["first", "quick"]
    subprocess.run([*program, "resume"], check=True, timeout=60)
    assert log.read_text().split() == ["first", "quick", "slow", "last"]
    done = saver.get_tuple(config)
    assert done and done.checkpoint["channel_values"]["done"] == ["begun", "first", "quick", "slow", "last"]


def test_a_thread_of_another_checkpointer_goes_on(saver: ConversationStoreSaver) -> None:
    old = InMemorySaver()
    trip(old).invoke({"places": ["Lisbon"]}, CONFIG)
    for it in reversed(list(old.list(CONFIG))):
        config: Any = it.parent_config or {"configurable": {"thread_id": "trip", "checkpoint_ns": ""}}
        saver.put(config, it.checkpoint, it.metadata, it.checkpoint["channel_versions"])
        for task in {write[0] for write in it.pending_writes or ()}:
            saver.put_writes(it.config, [write[1:] for write in it.pending_writes or () if write[0] == task], task)
    assert trip(saver).invoke(Command(resume="Porto"), CONFIG)["places"] == ["Lisbon", "Porto"]


# --- requests


def test_how_many_requests_it_takes(saver: ConversationStoreSaver, counting: Counting) -> None:
    def requests(run: Any) -> list[str]:
        counting.requests.clear()
        run()
        return counting.requests

    records = "/conversations/trip/records"
    config: Any = {"configurable": {"thread_id": "trip", "checkpoint_ns": ""}}
    checkpoint, versions = holding({f"channel-{number}": ["value"] * 50 for number in range(20)})
    assert requests(lambda: saver.put(config, checkpoint, {"step": 1}, versions)) == [f"POST {records}"]
    config["configurable"]["checkpoint_id"] = checkpoint["id"]
    writes = [(f"channel-{number}", number) for number in range(10)]
    assert requests(lambda: saver.put_writes(config, writes, "task")) == [f"POST {records}"]
    assert requests(lambda: saver.get_tuple(config)) == [f"GET {records}"] * 2
    assert requests(lambda: saver.get_tuple(CONFIG)) == [f"GET {records}"] * 2
    assert requests(lambda: list(saver.list(CONFIG, limit=1))) == [f"GET {records}"] * 2
    # Of a run, the first checkpoint in a thread is preceded by an entry in the index.

    def put_of_run() -> Any:
        return saver.put(config, {**checkpoint, "id": str(uuid4())}, {"step": 1, "run_id": "run"}, {})

    assert requests(put_of_run) == ["POST /records", f"POST {records}"]
    assert requests(put_of_run) == [f"POST {records}"]


# --- writes


def written(saver: ConversationStoreSaver, config: Any) -> list[tuple[str, str, Any]]:
    saved = saver.get_tuple(config)
    assert saved and saved.pending_writes is not None
    return saved.pending_writes


def test_writes_stay_and_special_ones_are_replaced(saver: ConversationStoreSaver) -> None:
    config = saver.put({"configurable": {"thread_id": "trip", "checkpoint_ns": ""}}, empty_checkpoint(), {}, {})
    saver.put_writes(config, [("a", 1), ("b", 2)], "task", "path")
    saver.put_writes(config, [("a", 9), ("b", 9), ("c", 3)], "task", "path")
    assert written(saver, config) == [("task", "a", 1), ("task", "b", 2), ("task", "c", 3)]
    saver.put_writes(config, [(INTERRUPT, "first"), ("a", 9)], "task", "path")
    assert ("task", INTERRUPT, "first") in written(saver, config)
    saver.put_writes(config, [(INTERRUPT, "second"), (RESUME, ["yes"])], "task", "path")
    assert written(saver, config)[:2] == [("task", RESUME, ["yes"]), ("task", INTERRUPT, "second")]
    assert len(written(saver, config)) == 5
    saver.put_writes(config, [("z", 0)], "a-task", "a-path")
    saver.put_writes(config, [("z", 0)], "later-task", "")
    assert [write[0] for write in written(saver, config)] == ["later-task", "a-task"] + ["task"] * 5


def holding(values: dict[str, Any]) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint with values, and their versions."""
    versions = dict.fromkeys(values, 1)
    checkpoint = empty_checkpoint()
    checkpoint.update({"channel_values": values, "channel_versions": {**versions}})
    return checkpoint, {**versions}


def test_values_and_types_come_back(saver: ConversationStoreSaver, store: ConversationStore) -> None:
    texts = {"short": "x" * 16, "long": "x" * 17, "text": "naïve ☃"}
    checkpoint, versions = holding({**texts, "none": None, "true": True, "float": 0.5, "list": [1, {"a": b"\0\xff"}]})
    config: Any = {"configurable": {"thread_id": "trip", "checkpoint_ns": "a:b|c/d"}}
    config = saver.put(config, checkpoint, {}, versions)
    saved = saver.get_tuple(config)
    assert saved and saved.checkpoint == checkpoint and saved.config == config
    assert {it.key.split("/")[2] for it in store.list_records("trip", prefix="lg/b").data} == {"list", "long"}


def test_values_may_have_four_mebibytes(saver: ConversationStoreSaver) -> None:
    random = b"".join(uuid4().bytes for _ in range(2**18))
    config: Any = {"configurable": {"thread_id": "trip", "checkpoint_ns": ""}}

    def put(value: Any) -> Any:
        checkpoint, versions = holding({"a": value})
        return saver.put(config, checkpoint, {}, versions)

    for value in ("text " * 4_000_000, random[:-100]):
        saved = saver.get_tuple(put(value))
        assert saved and saved.checkpoint["channel_values"] == {"a": value}
    with pytest.raises(TooLarge):
        put(random + random)


class Backwards:
    """A cipher that a reader would see through."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "backwards", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "backwards"
        return ciphertext[::-1]


def test_values_may_be_encrypted(saver: ConversationStoreSaver, store: ConversationStore) -> None:
    graph = trip(ConversationStoreSaver(store, serde=EncryptedSerializer(Backwards())))
    graph.invoke({"places": ["Lisbon"]}, CONFIG)
    assert graph.invoke(Command(resume="Porto"), CONFIG)["places"] == ["Lisbon", "Porto"]
    assert all(
        it.value and it.value.startswith(b"msgpack+backwards\0") for it in store.list_records("trip", values=True).data
    )


# --- threads


def ids(saver: ConversationStoreSaver, config: Any, **where: Any) -> list[str]:
    return [it.config["configurable"]["checkpoint_id"] for it in saver.list(config, **where)]


def put_steps(saver: ConversationStoreSaver, thread: str, count: int, ns: str = "", **metadata: Any) -> list[Any]:
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ns}}
    configs = []
    for step in range(count):
        config = saver.put(config, empty_checkpoint(), {"step": step, **metadata}, {})  # type: ignore[typeddict-item]
        configs.append(config)
    return configs


@pytest.mark.parametrize("thread", ["user/42", "~trip", "thread über", "a" * 128, "a" * 600, "日" * 400, "é\ud83d" * 9])
def test_threads_of_any_name(saver: ConversationStoreSaver, store: ConversationStore, thread: str) -> None:
    put_steps(saver, thread, 1, run_id="run")
    assert [it.config["configurable"]["thread_id"] for it in saver.list(None)] == [thread]
    saver.copy_thread(thread, "copy")
    saver.copy_thread(thread, thread + "2")
    saver.copy_thread("copy", "copy" * 60)
    expected = {thread, thread + "2", "copy", "copy" * 60}
    assert {it.config["configurable"]["thread_id"] for it in saver.list(None)} == expected
    saver.delete_for_runs(["run"])
    assert list(saver.list(None)) == [] and keys(store, None) == {}


def test_lists(saver: ConversationStoreSaver) -> None:
    child = [it["configurable"]["checkpoint_id"] for it in put_steps(saver, "trip", 2, ns="child:1")]
    root = [it["configurable"]["checkpoint_id"] for it in put_steps(saver, "trip", 230)]
    put_steps(saver, "other", 1)
    space: Any = {"configurable": {"thread_id": "trip", "checkpoint_ns": ""}}
    assert ids(saver, space) == root[::-1]
    assert ids(saver, CONFIG) == (child + root)[::-1]
    assert ids(saver, CONFIG, limit=3) == ids(saver, space, limit=3) == root[:-4:-1]
    assert ids(saver, space, filter={"step": 7}) == [root[7]] and ids(saver, space, limit=0) == []
    before: Any = {"configurable": {"checkpoint_id": root[2]}}
    assert ids(saver, space, before=before) == ids(saver, CONFIG, before=before)[:2] == [root[1], root[0]]
    assert ids(saver, {"configurable": {**space["configurable"], "checkpoint_id": root[5]}}) == [root[5]]
    assert len(ids(saver, None)) == 233


def keys(store: Any, conversation: str | None) -> Counter[str]:
    return Counter(it.key[:4] for page in store.record_pages(conversation, limit=1000) for it in page.data)


def test_deleting_a_thread_leaves_its_messages(saver: ConversationStoreSaver, store: ConversationStore) -> None:
    store.add_messages("trip", [{"role": "user", "content": "Hello!"}], records=[Put("mine", "x"), Put("lg", "x")])
    put_steps(saver, "trip", 2, run_id="run")
    put_steps(saver, "other", 1, run_id="run")
    assert keys(store, None) == {"lg/r": 2}
    saver.delete_thread("trip")
    assert keys(store, "trip") == {"mine": 1, "lg": 1} and keys(store, None) == {"lg/r": 1}
    assert len(store.list_messages("trip").data) == 1
    # A run that goes on is found again.
    put_steps(saver, "trip", 1, run_id="run")
    saver.delete_for_runs(["run"])
    assert ids(saver, CONFIG) == [] and keys(store, None) == {}


def test_deleting_runs_keeps_what_others_have(saver: ConversationStoreSaver, store: ConversationStore) -> None:
    graph = trip(saver)
    graph.invoke({"places": ["Lisbon"], "guide": {"a": "b"}}, {**CONFIG, "metadata": {"run_id": "first"}})
    kept = graph.invoke(Command(resume="Porto"), {**CONFIG, "metadata": {"run_id": "second"}})
    saver.copy_thread("trip", "copy")
    saver.delete_for_runs(["first"])
    for thread in ("trip", "copy"):
        config: Any = {"configurable": {"thread_id": thread}}
        assert {it.metadata.get("run_id") for it in saver.list(config)} == {"second"}
        assert graph.get_state(config).values == kept
        assert [it.parent_config for it in saver.list(config)][-1] is None
        assert keys(store, thread)["lg/w"] == 0


def test_a_copy_is_complete_whether_or_not_there_is_a_target(
    saver: ConversationStoreSaver, store: ConversationStore
) -> None:
    graph = trip(saver)
    graph.invoke({"places": ["Lisbon"]}, {**CONFIG, "metadata": {"run_id": "run"}})
    store.add_messages("trip", [{"role": "user", "content": "Hello!"}])
    store.add_messages("there", [{"role": "user", "content": "Hello!"}])
    for target in ("new", "there"):
        saver.copy_thread("trip", target)
        assert keys(store, target) == keys(store, "trip")
        assert graph.invoke(Command(resume="Porto"), {"configurable": {"thread_id": target}})["places"] == [
            "Lisbon",
            "Porto",
        ]
    assert len(store.list_messages("there").data) == 1 and store.list_messages("new").data == []
    assert graph.get_state(CONFIG).next == ("asks",)
    saver.copy_thread("none", "nowhere")
    assert ids(saver, {"configurable": {"thread_id": "nowhere"}}) == []
    saver.delete_for_runs(["run"])
    assert all(len(ids(saver, {"configurable": {"thread_id": it}})) <= 2 for it in ("trip", "new", "there"))


# --- pruning


class Diary(TypedDict, total=False):
    lines: Annotated[
        list[str],
        DeltaChannel(lambda lines, new: [*lines, *(it for each in new for it in each)], list, snapshot_frequency=4),
    ]
    last: list[int]


def diary(saver: BaseCheckpointSaver[Any]) -> Any:
    builder = StateGraph(Diary)
    builder.add_node("write", lambda state: {"lines": [f"line {len(state['lines'])}"], "last": [len(state["lines"])]})
    builder.add_edge(START, "write")
    builder.add_edge("write", END)
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("turns", range(1, 7))
def test_pruning_keeps_what_a_delta_channel_is_rebuilt_from(saver: ConversationStoreSaver, turns: int) -> None:
    memory = InMemorySaver()
    for each in (saver, memory):
        for turn in range(turns):
            diary(each).invoke({"lines": [f"turn {turn}"]}, CONFIG)
    expected = diary(memory).get_state(CONFIG).values
    assert diary(saver).get_state(CONFIG).values == expected and len(expected["lines"]) == 2 * turns
    count = len(ids(saver, CONFIG))
    saver.prune(["trip"])
    assert diary(saver).get_state(CONFIG).values == expected
    # Up to four updates of the channel, by input and by node, are between two snapshots of it.
    assert len(ids(saver, CONFIG)) <= min(count, 7)
    diary(saver).invoke({"lines": ["one more"]}, CONFIG)
    assert diary(saver).get_state(CONFIG).values["lines"][:-1] == [*expected["lines"], "one more"]


def test_the_history_of_delta_channels_is_the_field_s(saver: ConversationStoreSaver, counting: Counting) -> None:
    for turn in range(7):
        diary(saver).invoke({"lines": [f"turn {turn}"]}, CONFIG)
    middle = list(diary(saver).get_state_history(CONFIG))[7].config
    diary(saver).update_state(middle, {"lines": ["another branch"]}, as_node="write")
    for state in diary(saver).get_state_history(CONFIG):
        where: dict[str, Any] = {"config": state.config, "channels": ["lines", "last", "none"]}
        counting.requests.clear()
        history = saver.get_delta_channel_history(**where)
        assert len(counting.requests) <= 2
        assert history == BaseCheckpointSaver.get_delta_channel_history(saver, **where)


def test_pruning_collects_values_that_no_checkpoint_has(
    saver: ConversationStoreSaver, store: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = trip(saver)
    for _ in range(5):
        graph.invoke({"places": ["Lisbon"], "guide": {"a": "b"}}, CONFIG)
        kept = graph.invoke(Command(resume="Porto"), CONFIG)
    lost = _stored.blob_key("", "guide", 77)
    store.put_record("trip", lost, b"\0\0\xc0")
    values = keys(store, "trip")["lg/b"]
    saver.prune(["trip"])
    assert graph.get_state(CONFIG).values == kept and len(ids(saver, CONFIG)) == 1
    [latest] = saver.list(CONFIG)
    assert latest.parent_config is None
    # A run that began from a deleted checkpoint may store another one that has any of its values.
    assert keys(store, "trip") == {"lg/b": values, "lg/c": 1, "lg/u": 1}
    saver.prune(["trip"])
    assert keys(store, "trip") == {"lg/b": values, "lg/c": 1, "lg/u": 1}
    monkeypatch.setattr("conversation_store.langgraph._drop._UNUSED_SECONDS", -60)
    saver.prune(["trip"])
    # The guide and the places.
    assert keys(store, "trip") == {"lg/b": 2, "lg/c": 1} and graph.get_state(CONFIG).values == kept
    saver.prune(["trip"], strategy="delete")
    assert keys(store, "trip") == {}
    with pytest.raises(ValueError, match="strategy"):
        saver.prune(["trip"], strategy="keep_some")


def test_pruning_drops_calls_of_subgraphs(saver: ConversationStoreSaver) -> None:
    inner = StateGraph(Trip)
    inner.add_node("asks", asks)
    inner.add_edge(START, "asks")
    outer = StateGraph(Trip)
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "inner")
    ends = {}
    for each in (saver, InMemorySaver()):
        graph: Any = outer.compile(checkpointer=each)
        for _ in range(2):
            graph.invoke({"places": ["Lisbon"]}, CONFIG)
            graph.invoke(Command(resume="Porto"), CONFIG)
        graph.invoke({"places": ["Faro"]}, CONFIG)
        if each is saver:
            # The root graph, and the call that has not ended; not the two that have.
            assert len({it.config["configurable"]["checkpoint_ns"] for it in saver.list(CONFIG)}) == 4
            saver.prune(["trip"])
            assert len({it.config["configurable"]["checkpoint_ns"] for it in saver.list(CONFIG)}) == 2
        ends[each] = graph.invoke(Command(resume="Porto"), CONFIG)
    assert ends[saver]["places"][-1] == "Porto" and len(set(map(str, ends.values()))) == 1


class Profile(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    profile: str


@pytest.mark.parametrize("seconds", [0, 4000])
def test_a_run_keeps_all_values_while_others_prune(
    saver: ConversationStoreSaver, base_url: str, owner: str, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Also a run that takes longer than unused values are kept."""
    now, at = time.time(), time.monotonic()
    later = 0.0
    monkeypatch.setattr("conversation_store.langgraph._drop.time.time", lambda: now + later)
    monkeypatch.setattr("conversation_store.langgraph.time.monotonic", lambda: at + later)
    with ConversationStore(base_url, owner=owner) as store:
        other = ConversationStoreSaver(store)

        def meanwhile(state: Profile) -> Profile:
            nonlocal later
            if state["log"][-1] == "slow":
                graph(other).invoke({"log": ["quick"], "profile": "second" * 20}, CONFIG)
                other.prune(["trip"])
                later += seconds
                graph(other).invoke({"log": ["quick"], "profile": "third" * 20}, CONFIG)
                other.prune(["trip"])
            return {"log": [f"{state['log'][-1]} done"]}

        def graph(which: ConversationStoreSaver) -> Any:
            builder = StateGraph(Profile)
            builder.add_node("work", meanwhile)
            builder.add_edge(START, "work")
            return builder.compile(checkpointer=which)

        graph(saver).invoke({"log": ["begun"], "profile": "first" * 20}, CONFIG)
        graph(saver).invoke({"log": ["slow"]}, CONFIG)
        expected = {"log": ["begun", "begun done", "slow", "slow done"], "profile": "first" * 20}
        # The branch of the slow run is the latest, and is whole: for another process, and after another prune.
        assert graph(other).get_state(CONFIG).values["profile"] in ("first" * 20, "third" * 20)
        slow = [it for it in graph(other).get_state_history(CONFIG) if it.values["log"][-1] == "slow done"]
        assert [it.values for it in slow] == [expected]
        later += 2 * 4000
        other.prune(["trip"])
        other.prune(["trip"])
        assert graph(other).get_state(CONFIG).values["profile"]


def test_prunes_keep_what_is_used_and_in_the_end_nothing_else(
    saver: ConversationStoreSaver, store: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    later = 0.0
    monkeypatch.setattr("conversation_store.langgraph._drop.time.time", lambda: now + later)
    graph = trip(saver)
    for turn in range(8):
        graph.invoke({"places": [f"Lisbon {turn}"], "guide": {"turn": str(turn)}}, CONFIG)
        graph.invoke(Command(resume="Porto"), CONFIG)
        later += 1000
        saver.prune(["trip"])
        assert len(graph.get_state(CONFIG).values["places"]) == 2 * turn + 2
    later += 4000
    saver.prune(["trip"])
    assert keys(store, "trip") == {"lg/b": 2, "lg/c": 1}


class Meddling(httpx.HTTPTransport):
    """Does something before a request, or loses its answer, once."""

    before: Any = None
    loses: Any = None
    late: list[httpx.Request]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.before and self.before[0](request):
            act, self.before = self.before[1], None
            act()
        answer = super().handle_request(request)
        if self.loses and self.loses(request):
            self.loses = None
            answer.read()
            raise httpx.ReadError("lost", request=request)
        if request.method != "GET":
            self.late = [*getattr(self, "late", []), request]
        return answer

    def again(self, request: httpx.Request) -> None:
        """A duplicate arrives late."""
        super().handle_request(request).read()


@pytest.fixture
def meddling() -> Meddling:
    return Meddling()


@pytest.fixture
def meddled(base_url: str, owner: str, meddling: Meddling) -> Iterator[ConversationStoreSaver]:
    with ConversationStore(base_url, owner=owner, transport=meddling) as store:
        yield ConversationStoreSaver(store)


def reads_values(request: httpx.Request) -> bool:
    return request.method == "GET" and b"lg%2Fb" in request.url.query


def test_a_checkpoint_that_goes_while_it_is_read_is_read_again(
    meddled: ConversationStoreSaver, meddling: Meddling, store: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ConversationStoreSaver(store)
    graph = trip(meddled)
    graph.invoke({"places": ["Lisbon"], "guide": {"a": "b"}}, CONFIG)

    def act() -> None:
        trip(other).invoke(Command(resume="Porto"), CONFIG)
        monkeypatch.setattr("conversation_store.langgraph._drop._UNUSED_SECONDS", -60)
        other.prune(["trip"])

    meddling.before = (reads_values, act)
    assert graph.get_state(CONFIG).values["places"] == ["Lisbon", "Porto"] and meddling.before is None
    # What tasks wrote goes with its checkpoint: that is not read without it.
    graph.invoke({"places": ["Faro"]}, CONFIG)
    asked = graph.get_state(CONFIG).config

    def ends() -> None:
        trip(other).invoke(Command(resume="Sintra"), CONFIG)
        other.prune(["trip"])

    meddling.before = (reads_values, ends)
    assert meddled.get_tuple(asked) is None
    meddling.before = (reads_values, lambda: other.delete_thread("trip"))
    assert meddled.get_tuple(CONFIG) is None
    graph.invoke({"places": ["Lisbon"], "guide": {"a": "b"}}, CONFIG)
    meddling.before = (reads_values, lambda: other.delete_thread("trip"))
    assert list(meddled.list(CONFIG)) == []


def test_a_checkpoint_that_lacks_a_value_is_an_error(
    meddled: ConversationStoreSaver, meddling: Meddling, store: ConversationStore
) -> None:
    trip(meddled).invoke({"places": ["Lisbon"], "guide": {"a": "b"}}, CONFIG)
    store.delete_records("trip", "lg/b/guide/")
    with pytest.raises(StoreError, match="lacks lg/b/guide/"):
        meddled.get_tuple(CONFIG)
    with pytest.raises(StoreError, match="lacks lg/b/guide/"):
        list(meddled.list(CONFIG))
    with pytest.raises(StoreError):
        trip(meddled).invoke({"places": ["Faro"]}, CONFIG)


def test_the_history_of_a_delta_channel_is_whole_or_an_error(
    meddled: ConversationStoreSaver, meddling: Meddling, store: ConversationStore
) -> None:
    other = ConversationStoreSaver(store)
    for turn in range(3):
        diary(meddled).invoke({"lines": [f"turn {turn}"]}, CONFIG)
    config = diary(meddled).get_state(CONFIG).config
    where: dict[str, Any] = {"config": config, "channels": ["lines"]}
    whole = meddled.get_delta_channel_history(**where)
    assert whole["lines"]["writes"]

    def act() -> None:
        diary(other).invoke({"lines": [f"turn {number}" for number in range(9)]}, CONFIG)
        diary(other).invoke({"lines": ["more"]}, CONFIG)
        diary(other).invoke({"lines": ["more"]}, CONFIG)
        other.prune(["trip"])

    meddling.before = (lambda request: request.method == "GET" and b"lg%2Fw" in request.url.query, act)
    with pytest.raises(StoreError):
        meddled.get_delta_channel_history(**where)


def test_late_duplicates_undo_nothing(
    meddled: ConversationStoreSaver, meddling: Meddling, store: ConversationStore
) -> None:
    graph = trip(meddled)
    graph.invoke({"places": ["Lisbon"]}, {**CONFIG, "metadata": {"run_id": "run"}})
    meddled.delete_thread("trip")
    graph.invoke({"places": ["Lisbon"], "guide": {"a": "b"}}, {**CONFIG, "metadata": {"run_id": "run"}})
    config = graph.get_state(CONFIG).config
    meddled.put_writes(config, [(RESUME, ["first"])], "task")
    meddled.put_writes(config, [(RESUME, ["first", "second"])], "task")
    meddled.put_writes(config, [(f"channel {number}", number) for number in range(3)], "other")
    meddled.put(config, {**empty_checkpoint(), "id": config["configurable"]["checkpoint_id"] + "0"}, {"step": 9}, {})
    meddled.delete_for_runs(["run"])

    def kept() -> dict[str, bytes | None]:
        """What is there but ordinary writes, which nobody reads where their checkpoint is gone."""
        records = {it.key: it.value for page in store.record_pages("trip", values=True) for it in page.data}
        return {key: value for key, value in records.items() if not ordinary.fullmatch(key)}

    ordinary = re.compile("lg/w/[^/]+/[^/]+")
    before = kept()
    index = {it.key for page in store.record_pages(None) for it in page.data}
    sent = list(meddling.late)
    assert len(sent) > 12
    for request in sent:
        if not request.headers.get("idempotency-key"):
            changes = json.loads(request.content)["records"]
            assert all("if_match" in it or "if_none_match" in it for it in changes)
        meddling.again(request)
    assert kept() == before
    assert {it.key for page in store.record_pages(None) for it in page.data} == index


def changes_records(request: httpx.Request) -> bool:
    return request.method == "POST" and b"if_match" in request.content


def test_deletions_of_checkpoints_take_lost_answers_and_others(
    meddled: ConversationStoreSaver, meddling: Meddling, store: ConversationStore
) -> None:
    graph, other = trip(meddled), ConversationStoreSaver(store)
    graph.invoke({"places": ["Lisbon"]}, {**CONFIG, "metadata": {"run_id": "first"}})
    graph.invoke(Command(resume="Porto"), {**CONFIG, "metadata": {"run_id": "second"}})
    meddling.loses = changes_records
    meddled.delete_for_runs(["first"])
    assert meddling.loses is None and {it.metadata.get("run_id") for it in meddled.list(CONFIG)} == {"second"}
    graph.invoke({"places": ["Faro"]}, CONFIG)
    # Another one prunes after this one has chosen.
    meddling.before = (lambda request: request.method == "POST", lambda: other.prune(["trip"]))
    meddled.prune(["trip"])
    assert meddling.before is None and len(ids(meddled, CONFIG)) == 1
    assert graph.invoke(Command(resume="Sintra"), CONFIG)["places"][-2:] == ["Faro", "Sintra"]


# --- faults


class Busy(Exception):
    """Another worker is at it."""


class Talk(TypedDict, total=False):
    said: Annotated[list[str], operator.add]
    turn: int
    looked_up: int


def talk(saver: BaseCheckpointSaver[Any]) -> Any:
    """Looks something up on each third turn, then answers."""

    async def look_up(state: Talk) -> Talk:
        return {"said": [f"result {state['turn']}"], "looked_up": state.get("looked_up", 0) + 1}

    async def answer(state: Talk) -> Talk:
        return {"said": [f"answer to {state['said'][-1]}"]}

    builder = StateGraph(Talk)
    builder.add_node("look_up", look_up)
    builder.add_node("answer", answer)
    builder.add_conditional_edges(START, lambda state: "answer" if state["turn"] % 3 else "look_up")
    builder.add_edge("look_up", "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=saver)


@pytest.mark.anyio
async def test_no_turn_is_lost_doubled_or_out_of_order(base_url: str, owner: str) -> None:
    with faults.front(base_url, seed=4) as front:
        stores = [faults.lasting_async(front.url, owner) for _ in range(2)]

        await stores[0].put_record("trip", "lock", "free")

        async def turn(worker: int) -> int | None:
            # LangGraph lets two runs of a thread branch. That one waits for the other is a record, too. It is taken by
            # its revision: what was refused once, and comes again late, is refused again.
            store, graph = stores[worker], talk(ConversationStoreSaver(stores[worker]))
            lock = await store.get_record("trip", "lock")
            if lock.text != "free":
                raise Busy
            lock = await store.put_record("trip", "lock", str(worker), if_match=lock.revision)
            state = (await graph.aget_state(CONFIG)).values
            number = state.get("turn", -1) + 1
            if number < faults.TURNS:
                await graph.ainvoke({"said": [f"turn {number}"], "turn": number}, CONFIG)
            await store.put_record("trip", "lock", "free", if_match=lock.revision)
            return number if number < faults.TURNS else None

        outcomes = await faults.race(turn, Busy, RevisionMismatch)
        for each in stores:
            await each.aclose()
    assert outcomes["done by 0"] + outcomes["done by 1"] == faults.TURNS and outcomes["Busy"] > 0
    expected: list[str] = []
    for number in range(faults.TURNS):
        looked_up = [f"result {number}", f"answer to result {number}"]
        expected += [f"turn {number}", *([f"answer to turn {number}"] if number % 3 else looked_up)]
    async with AsyncConversationStore(base_url, owner=owner) as store:
        saver = ConversationStoreSaver(store)
        state = await talk(saver).aget_state(CONFIG)
        assert state.values == {"said": expected, "turn": faults.TURNS - 1, "looked_up": faults.TURNS // 3 + 1}
        # Each checkpoint follows the one before it: the thread has no branches.
        parents = [it.parent_config async for it in saver.alist(CONFIG)]
        assert len({str(it) for it in parents}) == len(parents)
