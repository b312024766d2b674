"""All operations against a real server, and what they promise together."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from conversation_store import (
    AsyncConversationStore,
    BadRequest,
    Conflict,
    ConversationDeletions,
    ConversationStore,
    Delete,
    NotFound,
    NotModified,
    Put,
    Record,
    RecordDeletion,
    RevisionMismatch,
    TooLarge,
    VersionMismatch,
)

HELLO = {"id": "m1", "role": "user", "content": "Hello!"}
REPLY = {"id": "m2", "role": "assistant", "content": "Hi, how can I help?"}


def values(store: ConversationStore, conversation: str | None, **where: Any) -> dict[str, bytes | None]:
    return {it.key: it.value for it in store.list_records(conversation, values=True, **where).data}


def test_conversations(store: ConversationStore) -> None:
    made = store.create_conversation(id="trip", title="Lisbon", metadata={"channel": "web"}, messages=[HELLO, REPLY])
    assert (made.id, made.title, made.metadata, made.message_count) == ("trip", "Lisbon", {"channel": "web"}, 2)
    assert store.get_conversation("trip", min_version=made.version) == made
    with pytest.raises(NotModified):
        store.get_conversation("trip", if_none_match=made.version)
    changed = store.update_conversation("trip", title=None, if_match=made.version)
    assert changed.title is None and changed.metadata == {"channel": "web"}
    with pytest.raises(VersionMismatch) as raised:
        store.update_conversation("trip", title="Porto", if_match=made.version)
    assert raised.value.version == changed.version
    with pytest.raises(Conflict):
        store.create_conversation(id="trip")
    with pytest.raises(VersionMismatch):
        store.create_conversation(id="trip", if_absent=True)
    fork = store.create_conversation(id="other", fork_of="trip", at=1)
    assert (fork.message_count, fork.forked_from, fork.forked_at) == (1, "trip", 1)
    assert [it.id for it in store.list_conversations(forked_from="trip").data] == ["other"]
    assert [it.id for page in store.conversation_pages(limit=1) for it in page.data] == ["other", "trip"]
    assert [it.id for it in store.list_conversations(metadata={"channel": "web"}, order="asc").data] == [
        "trip",
        "other",
    ]
    store.delete_conversation("trip", if_match=changed.version)
    with pytest.raises(NotFound):
        store.get_conversation("trip")
    with pytest.raises(Conflict) as deleted:
        store.add_messages("trip", [HELLO])
    assert deleted.value.code == "conversation_deleted"


def test_conversations_that_are_archived_and_that_expire(store: ConversationStore) -> None:
    def ids(**where: Any) -> list[str]:
        return [it.id for it in store.list_conversations(**where).data]

    made = store.create_conversation(id="old", archived=True, expires_after=60)
    assert (made.archived, made.expires_after, made.expires_at) == (True, 60, made.updated_at + 60)
    store.create_conversation(id="new", metadata={"channel": "web"})
    assert (ids(), ids(archived=True), ids(archived="any")) == (["new"], ["old"], ["new", "old"])
    changed = store.update_conversation("old", archived=False, expires_after=None)
    assert (changed.archived, changed.expires_after) == (False, None)
    with pytest.raises(BadRequest) as raised:
        store.update_conversation("old", expires_after=59)
    assert (raised.value.code, raised.value.param) == ("out_of_range", "expires_after")
    with pytest.raises(BadRequest) as unfiltered:
        store.delete_conversations()
    assert unfiltered.value.param == "metadata"
    counted = store.delete_conversations(metadata={"channel": "web"})
    assert counted == ConversationDeletions(dry_run=True, matched=1, deleted=0, has_more=False)
    assert store.delete_conversations(metadata={"channel": "web"}, dry_run=False).deleted == 1
    assert ids(archived="any") == ["old"]


def test_everything_of_an_owner(store: ConversationStore) -> None:
    store.add_messages("trip", [HELLO, REPLY], records=[Put("state", "asked")])
    store.put_record(None, "settings", "{}")
    owned = store.owner()
    assert (owned.conversations, owned.messages, owned.records, owned.erasure) == (1, 2, 2, None) and owned.bytes
    lines = list(store.export_owner())
    kinds = ["owner", "record", "conversation", "message", "message", "record"]
    assert [it["record"] for it in lines] == kinds and lines[3]["body"] == HELLO
    assert sum(len(page.lines) for page in store.export_pages()) == 6
    with pytest.raises(BadRequest):
        list(store.export_owner(after="?"))
    erasure = store.delete_owner()
    assert (erasure.conversations, erasure.requested_by) == (1, "owner")
    assert erasure.hidden_at and erasure.hidden_at >= erasure.requested_at
    with pytest.raises(NotFound):
        store.get_conversation("trip")
    left = store.owner()
    assert (left.conversations, left.messages, left.records) == (0, 0, 0)
    assert left.erasure and left.erasure.id == erasure.id
    assert values(store, None) == {}
    with pytest.raises(Conflict):
        store.add_messages("trip", [HELLO])
    store.add_messages("another", [HELLO])


def test_messages(store: ConversationStore) -> None:
    added = store.add_messages("trip", [HELLO, REPLY], if_absent=True)
    assert [it["seq"] for it in added.data] == [1, 2]
    assert store.add_messages("trip", [HELLO]).data[0]["seq"] == 1
    recent = store.list_messages("trip", min_version=added.version)
    assert [it["content"] for it in recent.data] == [HELLO["content"], REPLY["content"]]
    assert recent.version == added.version
    with pytest.raises(NotModified):
        store.list_messages("trip", if_none_match=recent.version)
    assert [it["id"] for it in store.list_messages("trip", start_on="assistant").data] == ["m2"]
    assert [it["seq"] for page in store.message_pages("trip", after=0, limit=1) for it in page.data] == [1, 2]
    assert [it["seq"] for page in store.message_pages("trip", limit=1) for it in page.data] == [2, 1]
    replaced = store.replace_messages("trip", [{"role": "user", "content": "Hi!"}], after=1, if_match=recent.version)
    assert (replaced.deleted, replaced.data[0]["seq"]) == (1, 3)
    with pytest.raises(VersionMismatch):
        store.replace_messages("trip", [], after=0, if_match=recent.version)
    assert store.replace_messages("trip", [], after=0).deleted == 2


def test_items(store: ConversationStore) -> None:
    store.create_conversation(id="trip")
    call = {"type": "function_call", "call_id": "call-1", "name": "weather", "arguments": "{}"}
    added = store.add_items("trip", [call, {"type": "message", "role": "user", "content": "Hello!"}])
    assert len(added.data) == 2 and added.version
    pages = list(store.item_pages("trip", limit=1, order="asc"))
    assert [page.data[0]["type"] for page in pages] == ["function_call", "message"]
    first = added.data[0]["id"]
    assert store.get_item("trip", first)["name"] == "weather"
    assert store.delete_item("trip", first, if_match=added.version).message_count == 1
    with pytest.raises(NotFound):
        store.get_item("trip", first)


@pytest.mark.parametrize("conversation", ["trip", None])
def test_records(store: ConversationStore, conversation: str | None) -> None:
    put = store.put_record(conversation, "a/b c", '{"x": 1}', content_type="application/json", if_absent=True)
    got = store.get_record(conversation, "a/b c")
    assert (got.text, got.content_type, got.revision, got.size) == ('{"x": 1}', "application/json", put.revision, 8)
    with pytest.raises(NotModified):
        store.get_record(conversation, "a/b c", if_none_match=put.revision)
    with pytest.raises(RevisionMismatch) as raised:
        store.put_record(conversation, "a/b c", b"", if_absent=True)
    assert raised.value.revision == put.revision
    again = store.put_record(conversation, "a/b c", b"\xff\x00", if_match=put.revision)
    assert again.revision > put.revision and store.get_record(conversation, "a/b c").value == b"\xff\x00"
    assert store.delete_record(conversation, "a/b c", if_match=again.revision).deleted == 1
    assert store.delete_record(conversation, "a/b c").deleted == 0
    with pytest.raises(NotFound):
        store.get_record(conversation, "a/b c")


@pytest.mark.parametrize("key", ["what?", "../up", "a//b", "50%", "#1", "back\\slash", "/", "naïve ☃", "a" * 512])
def test_keys_of_all_kinds(store: ConversationStore, key: str) -> None:
    revision = store.put_record("trip", key, b"\x00value").revision
    assert store.get_record("trip", key).value == b"\x00value"
    with pytest.raises(NotModified):
        store.get_record("trip", key, if_none_match=revision)
    assert values(store, "trip") == {key: b"\x00value"}
    assert store.delete_record("trip", key).deleted == 1
    with pytest.raises(NotFound):
        store.get_record("trip", key)


def test_lists_of_records(store: ConversationStore) -> None:
    assert store.list_records("trip").data == []
    store.write_records("trip", [Put(key, key) for key in ("a/1", "a/2", "b/1", "c")])
    assert list(values(store, "trip", prefix="a/", order="desc")) == ["a/2", "a/1"]
    assert values(store, "trip", prefix=["b", "a/2"], key=["c", "none"]) == {"a/2": b"a/2", "b/1": b"b/1", "c": b"c"}
    assert list(values(store, "trip", after="a/2", limit=1)) == ["b/1"]
    assert [len(page.data) for page in store.record_pages("trip", limit=3)] == [3, 1]
    assert all(it.value is None and it.updated_at for it in store.list_records("trip").data)
    assert store.delete_records("trip", "a/") == RecordDeletion(2)
    assert list(values(store, "trip")) == ["b/1", "c"]


def test_batches_are_all_or_nothing(store: ConversationStore) -> None:
    first = store.write_records("trip", [Put("a", "1"), Put("b", b"\xff", content_type="image/png")])
    assert [it.revision for it in first if isinstance(it, Record)] == [1, 1]
    with pytest.raises(RevisionMismatch) as raised:
        store.write_records("trip", [Put("c", "3"), Delete("a", if_match=9)])
    assert (raised.value.param, raised.value.revision) == ("records[1]", 1)
    changed = store.write_records("trip", [Put("c", "3", if_absent=True), Delete("a", if_match=1), Delete("none")])
    assert [(type(it), getattr(it, "deleted", None)) for it in changed[1:]] == [
        (RecordDeletion, 1),
        (RecordDeletion, 0),
    ]
    assert values(store, "trip") == {"b": b"\xff", "c": b"3"}
    assert [it.content_type for it in store.list_records("trip").data] == ["image/png", "text/plain; charset=utf-8"]


def test_messages_and_records_in_one_commit(store: ConversationStore) -> None:
    added = store.add_messages("trip", [HELLO], records=[Put("state", "asked")])
    assert isinstance(added.records[0], Record) and added.records[0].key == "state"
    with pytest.raises(RevisionMismatch):
        store.add_messages("trip", [REPLY], records=[Put("state", "answered", if_absent=True)])
    assert len(store.list_messages("trip").data) == 1
    store.replace_messages("trip", [], after=0, records=[Delete("state")])
    assert values(store, "trip") == {} and store.list_messages("trip").data == []
    store.create_conversation(id="new", messages=[HELLO], records=[Put("lg/a", "1"), Put("other", "2")])
    store.create_conversation(id="fork", fork_of="new", at=0, records_prefix="lg/")
    assert values(store, "fork") == {"lg/a": b"1"} and store.list_messages("fork").data == []
    store.create_conversation(id="whole", fork_of="new")
    assert values(store, "whole") == {"lg/a": b"1", "other": b"2"}
    store.delete_conversation("new")
    assert values(store, "new") == {}


def test_many_records_at_once(store: ConversationStore) -> None:
    large = {f"large/{number}": bytes([255, number]) * 1_000_000 for number in range(3)}
    whole = {"whole": b"\xff" * 4 * 2**20}
    many = {f"{'many' * 20}/{number:03}": b"x" for number in range(250)}
    store.write_many_records("trip", [Put(key, value) for key, value in {**large, **whole, **many}.items()])
    found = store.read_many_records("trip", keys=[*many, "whole"], prefixes=["large/"])
    assert {key: record.value for key, record in found.items()} == {**large, **whole, **many}
    with pytest.raises(RevisionMismatch):
        store.write_many_records("trip", [Put("whole", whole["whole"], if_absent=True)])
    with pytest.raises(TooLarge):
        store.put_record("trip", "over", b"\xff" * (4 * 2**20 + 1))


class LosesAnswers(httpx.BaseTransport):
    """Sends each request twice, as a client does that has not seen the first answer."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.inner.handle_request(request).read()
        return self.inner.handle_request(request)


WRITES: list[Callable[[ConversationStore, str], object]] = [
    lambda store, id: store.add_messages(id, [{"role": "user", "content": "once"}]).data[0]["seq"],
    lambda store, id: store.put_record(id, "a", "once", if_absent=True).revision,
    lambda store, id: store.write_records(id, [Put("a", "once", if_absent=True)]),
    lambda store, id: store.delete_record(id, "there", if_match=1).deleted,
    lambda store, id: store.update_conversation(id, title="once", if_match=1).version,
    lambda store, id: store.add_items(id, [{"type": "message", "role": "user", "content": "once"}]).version,
    lambda store, id: store.replace_messages(id, [], after=0, if_match=1).deleted,
]


@pytest.mark.parametrize("write", WRITES)
def test_writes_take_effect_once(
    base_url: str, owner: str, store: ConversationStore, write: Callable[[ConversationStore, str], object]
) -> None:
    for conversation in ("once", "twice"):
        store.create_conversation(id=conversation, messages=[HELLO], records=[Put("there", "x")])
    with ConversationStore(base_url, owner=owner, transport=LosesAnswers()) as lossy:
        assert write(lossy, "twice") == write(store, "once")


@pytest.mark.anyio
async def test_the_async_client(async_store: AsyncConversationStore) -> None:
    await async_store.add_messages("trip", [HELLO], records=[Put(str(number), "x") for number in range(5)])
    assert [len(page.data) async for page in async_store.record_pages("trip", limit=2)] == [2, 2, 1]
    with pytest.raises(RevisionMismatch):
        await async_store.put_record("trip", "0", "y", if_absent=True)
    assert (await async_store.health(deep=True)).status == "ok"
    assert (await async_store.owner()).records == 5
    assert [line["record"] async for line in async_store.export_owner()][-1] == "record"
    assert len(await async_store.read_many_records("trip", keys=["0"], prefixes=["1"])) == 2


def test_owners_are_apart(base_url: str, store: ConversationStore) -> None:
    store.put_record("trip", "a", "mine")
    store.put_record(None, "a", "mine")
    with ConversationStore(base_url, owner=f"owner-{uuid4()}") as other:
        assert values(other, "trip") == {} and values(other, None) == {}
