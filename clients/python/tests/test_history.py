"""How adapters read and write messages: what is lost, what comes between, and what is none of theirs."""

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from conversation_store import ConversationStore, NotFound, Put, StoreError, VersionMismatch
from conversation_store.batches import batched
from conversation_store.history import History

GATEWAY = {"message": "Not Found"}


class Between(httpx.HTTPTransport):
    """Does something before each request that reads messages."""

    act: Callable[[], None] | None = None
    requests = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.act and request.method == "GET" and request.url.path.endswith("/messages"):
            self.act()
        return super().handle_request(request)


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
def reader(base_url: str, owner: str, between: Between) -> ConversationStore:
    return ConversationStore(base_url, owner=owner, transport=between)


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def texts(entries: Any) -> list[str]:
    return [it.message["content"] for it in entries]


def filled(store: ConversationStore, count: int, conversation: str = "trip") -> None:
    for first in range(0, count, 100):
        store.add_messages(conversation, [said(str(number)) for number in range(first, min(first + 100, count))])


# --- 404s


@pytest.mark.parametrize("code", [None, "unknown_url", "item_not_found"])
def test_a_404_that_is_not_about_the_conversation_is_no_success(code: str | None) -> None:
    body = {"error": {"message": "none", "code": code}} if code else GATEWAY
    store = ConversationStore("http://x/wrong", transport=httpx.MockTransport(lambda _: httpx.Response(404, json=body)))
    history = History("trip")
    for steps in (
        history.add([said("x")]),
        history.add([said("x")], version=3),
        history.newest(),
        history.overwrite([said("x")]),
        history.overwrite([]),
    ):
        with pytest.raises(NotFound):
            store.run(steps)


def test_an_add_that_finds_no_conversation_is_no_success() -> None:
    body = {"error": {"message": "none", "code": "conversation_not_found"}}
    store = ConversationStore("http://x", transport=httpx.MockTransport(lambda _: httpx.Response(404, json=body)))
    assert store.run(History("trip").newest()) == ([], 0)
    with pytest.raises(NotFound):
        store.run(History("trip").add([said("x")]))


def test_what_is_overwritten_need_not_be_there(store: ConversationStore) -> None:
    store.run(History("trip").overwrite([]))
    store.run(History("trip").overwrite([said("x")]))
    assert texts(store.run(History("trip").newest())[0]) == ["x"]


# --- batches


def test_a_batch_that_lacks_its_records_is_an_error(store: ConversationStore) -> None:
    many = [{**said(str(number)), "id": f"m{number}"} for number in range(150)]
    store.run(History("trip").add(many))
    store.create_conversation(id="fork", fork_of="trip", records_prefix="other/")
    with pytest.raises(StoreError, match=r"fork lacks record batch/"):
        store.run(History("fork").newest())


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "x", "parts": 1, "count": 1},
        {},
        {"digest": "0" * 32, "parts": "1", "count": 1},
        {"digest": "0" * 32, "parts": 1, "count": 1, "more": 1},
    ],
)
def test_what_others_call_a_batch_is_a_message(store: ConversationStore, fields: dict[str, Any]) -> None:
    store.add_messages("trip", [{"type": "record_batch", **fields}, said("x")])
    [first, _], _ = store.run(History("trip").newest())
    assert first.message.items() >= fields.items() and first.message["type"] == "record_batch"


@pytest.mark.parametrize("text", ["x" * 200_000, "日" * 80_000, "😀" * 60_000, "ж" * 120_000, '{"a":"b"}\n' * 10_000])
def test_a_message_is_stored_as_itself_up_to_the_bytes_that_are_sent(store: ConversationStore, text: str) -> None:
    message = {**said(text), "id": "m"}
    store.run(History("trip").add([message]))
    assert store.list_messages("trip").data[0]["content"] == text


def test_what_is_beside_messages_is_counted(store: ConversationStore) -> None:
    messages = [{**said("x" * 200_000), "id": f"m{number}"} for number in range(12)]
    assert batched(messages)[1] == [] and batched(messages, 1_000_000)[1] != []
    records = [Put(f"state/{number}", "y" * 500_000) for number in range(3)]
    store.run(History("trip").add(messages, records=records))
    assert len(store.run(History("trip").newest())[0]) == 12
    # A text that is cut through a character makes all of the request one with escapes.
    assert batched([{**said("日" * 60_000), "id": "a"}])[1] == []
    assert batched([{**said("日" * 60_000 + "\ud83d"), "id": "a"}])[1] != []


# --- others


def test_a_long_history_is_read_beside_a_writer(store: ConversationStore, reader: ConversationStore) -> None:
    filled(store, 1200)
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            store.add_messages("trip", [said("w")])
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            entries, version = reader.run(History("trip").newest())
            assert texts(entries)[:1200] == [str(number) for number in range(1200)]
            assert set(texts(entries)[1200:]) <= {"w"} and version == 12 + len(entries) - 1200
            entries, version = reader.run(History("trip").newest(250))
            assert len(entries) == 250 and entries[-1].stored["seq"] == 1200 + version - 12
    finally:
        done.set()
        writer.join()


def test_pages_are_not_read_again_because_of_additions(
    store: ConversationStore, reader: ConversationStore, between: Between
) -> None:
    filled(store, 1000)
    left = iter(range(8))

    def act() -> None:
        if next(left, None) is not None:
            store.add_messages("trip", [said("w")])

    between.act = act
    entries, version = reader.run(History("trip").newest())
    assert len(entries) == 1008 and version == 18 and texts(entries)[1000:] == ["w"] * 8
    assert between.requests <= 16


@pytest.mark.parametrize("limit", [None, 250])
def test_a_deletion_between_pages_is_seen(
    store: ConversationStore, reader: ConversationStore, between: Between, limit: int | None
) -> None:
    filled(store, 400)
    state = {"reads": 0}

    def act() -> None:
        state["reads"] += 1
        if state["reads"] == 3:
            last = store.list_messages("trip", limit=1).data[0]
            store.delete_item("trip", last["id"])
            store.add_messages("trip", [said("w")])

    between.act = act
    entries, version = reader.run(History("trip").newest(limit))
    expected = [*(str(number) for number in range(399)), "w"]
    assert texts(entries) == (expected if limit is None else expected[-limit:])
    assert version == store.get_conversation("trip").version


def test_who_meets_others_waits_longer_each_time(store: ConversationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [{**said(str(number)), "id": f"m{number}"} for number in range(150)]
    store.run(History("trip").add(many))
    waits: list[float] = []
    monkeypatch.setattr("conversation_store.client.time.sleep", waits.append)
    history = History("trip")
    refused = iter(range(5))
    write = history._write

    def meets(*args: Any) -> Any:
        if next(refused, None) is not None:
            raise VersionMismatch("somebody else", version=1)
        return (yield from write(*args))

    monkeypatch.setattr(history, "_write", meets)
    store.run(history.overwrite([said("x")]))
    assert len(waits) == 5 and waits[4] > waits[0] and waits[0] != waits[1]
    with pytest.raises(VersionMismatch):
        store.run(History("trip").overwrite([said("y")], version=1))
    assert texts(store.run(History("trip").newest())[0]) == ["x"]
