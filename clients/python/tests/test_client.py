"""What the client does with answers, lost ones too. Needs no server."""

import asyncio
import inspect
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

import conversation_store as package
from conversation_store import CONTRACT_VERSION, AsyncConversationStore, ConversationStore, Delete, Put, operations
from conversation_store._wire import pause
from conversation_store.bulk import _batches, _urls
from conversation_store.keys import conversation_id, expand, name_of, pack, pack_short, squeeze, unpack

Answer = httpx.Response | Exception
SPOKEN = {"x-contract-version": CONTRACT_VERSION}
CONVERSATION = {
    "id": "trip",
    "version": 2,
    "message_count": 1,
    "created_at": 1,
    "updated_at": 1,
    "metadata": {},
    "archived": False,
    "new_field": 1,
}


def ok(body: Any, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=body, headers={**SPOKEN, **headers})


def refused(status: int, headers: dict[str, str] | None = None, **problem: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": problem}, headers={**SPOKEN, **(headers or {})})


class Server:
    """Gives scripted answers and keeps the requests; those for its version, unless it has none, are apart."""

    def __init__(self, *answers: Answer, version: str | None = CONTRACT_VERSION) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.asked = 0
        self.version = version

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/health" and self.version:
            self.asked += 1
            return httpx.Response(
                200, json={"status": "ok", "version": self.version}, headers={"x-contract-version": self.version}
            )
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def store(self, **settings: Any) -> ConversationStore:
        return ConversationStore("http://store/v1", transport=httpx.MockTransport(self), **settings)

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.requests]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Notes how long was waited, and does not wait."""
    seconds: list[float] = []

    async def sleep(delay: float) -> None:
        seconds.append(delay)

    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    yield seconds


def test_a_write_is_sent_again_with_its_key(waits: list[float]) -> None:
    server = Server(httpx.ReadError("lost"), refused(503, {"retry-after": "2"}, code="unavailable"), ok(CONVERSATION))
    assert server.store().create_conversation(id="trip").id == "trip"
    assert len(server.requests) == 3 and len(set(server.keys)) == 1 and server.keys[0]
    assert waits[0] < 2 <= waits[1] < 3


@pytest.mark.anyio
async def test_the_async_client_does_the_same(waits: list[float]) -> None:
    server = Server(httpx.ConnectError("down"), refused(502), ok({"id": "trip", "version": 3, "data": []}))
    async with AsyncConversationStore("http://store", transport=httpx.MockTransport(server)) as store:
        added = await store.add_messages("trip", [{"role": "user", "content": "Hello!"}])
    assert added.version == 3 and added.records == []
    assert len(set(server.keys)) == 1 and len(waits) == 2


@pytest.mark.parametrize(
    "answer",
    [
        refused(503, {"x-should-retry": "false", "retry-after": "1"}, code="outcome_unknown", message="May be stored."),
        refused(500, code="internal_error", message="Internal server error."),
        refused(503, {"retry-after": "3600"}, code="unavailable"),
    ],
)
def test_some_answers_end_the_attempts(answer: httpx.Response, waits: list[float]) -> None:
    with pytest.raises(package.ApiError):
        Server(answer).store().add_messages("trip", [])
    assert waits == []


def test_attempts_end() -> None:
    server = Server(*[httpx.ConnectTimeout("slow")] * 3)
    with pytest.raises(package.Unavailable) as raised:
        server.store(retries=2).get_conversation("trip")
    assert raised.value.status is None and isinstance(raised.value.__cause__, httpx.ConnectTimeout)
    with pytest.raises(package.Unavailable, match="UnsupportedProtocol"):
        ConversationStore("ftp://store").get_conversation("trip")


@pytest.mark.parametrize(
    ("status", "problem", "kind"),
    [
        (400, {"code": "invalid_id", "param": "id"}, package.BadRequest),
        (401, {"code": "unauthenticated"}, package.Unauthenticated),
        (404, {"code": "conversation_not_found"}, package.NotFound),
        (409, {"code": "conversation_deleted"}, package.Conflict),
        (412, {"code": "version_mismatch", "version": 7}, package.VersionMismatch),
        (412, {"code": "revision_mismatch", "revision": 9, "param": "records[3]"}, package.RevisionMismatch),
        (413, {"code": "request_too_large"}, package.TooLarge),
        (500, {"code": "internal_error"}, package.ServerError),
    ],
)
def test_errors_have_types(status: int, problem: dict[str, Any], kind: type[package.ApiError]) -> None:
    answer = refused(status, {"x-request-id": "req-1"}, message="No.", type="an_error", **problem)
    with pytest.raises(kind) as raised:
        Server(answer).store().get_conversation("trip")
    error = raised.value
    assert (error.status, error.code, error.param) == (status, problem["code"], problem.get("param"))
    assert "No." in str(error) and "req-1" in str(error)
    assert getattr(error, "version", 7) == 7 and getattr(error, "revision", 9) == 9


def test_a_gateways_own_error_and_no_json() -> None:
    denied = httpx.Response(403, json={"message": "Forbidden"})
    with pytest.raises(package.Unauthenticated, match="Forbidden"):
        Server(denied, version=None).store().health()
    with pytest.raises(package.Unavailable, match="HTTP 502"):
        Server(httpx.Response(502, text="<html>"), version=None).store(retries=0).health()


def failing(*answers: Answer) -> package.ApiError:
    with pytest.raises(package.ApiError) as raised:
        Server(*answers).store(retries=0).get_conversation("trip")
    return raised.value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"status": 503, "message": "Service Unavailable"}, "Service Unavailable"),
        ({"error": {"status": "UNAVAILABLE", "message": "down", "code": 503, "param": 1, "self": 2}}, "down"),
        ({"Message": "User is not authorized"}, "User is not authorized"),
        ({"error": "upstream timed out"}, "upstream timed out"),
        ({"message": {"not": "text"}, "code": "conversation_not_found"}, "HTTP 503"),
        (["what"], "HTTP 503"),
    ],
)
def test_errors_of_gateways_of_all_forms(body: Any, message: str) -> None:
    error = failing(httpx.Response(503, json=body, headers={"x-request-id": "req-1"}))
    assert isinstance(error, package.Unavailable) and message in error.message
    assert (error.status, error.code, error.param, error.request_id) == (503, None, None, "req-1")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>Sign in</html>", headers=SPOKEN),
        httpx.Response(200, json=["no conversation"], headers=SPOKEN),
        httpx.Response(200, json={"error": "none"}, headers=SPOKEN),
        httpx.Response(200, stream=httpx.ByteStream(b"xx"), headers={**SPOKEN, "content-encoding": "gzip"}),
    ],
)
def test_what_is_no_answer_of_the_api_is_an_error_of_this_package(answer: httpx.Response) -> None:
    assert isinstance(failing(answer), package.InvalidResponse)


def test_a_record_without_an_etag_and_an_odd_retry_after() -> None:
    with pytest.raises(package.InvalidResponse, match="etag"):
        Server(httpx.Response(200, content=b"x", headers=SPOKEN)).store().get_record("trip", "a")
    assert isinstance(failing(refused(503, {"retry-after": "Fri, 27 Nov 2026 23:00:00 GMT"})), package.Unavailable)


def test_not_modified() -> None:
    server = Server(httpx.Response(304, headers={**SPOKEN, "etag": '"7"'}))
    with pytest.raises(package.NotModified):
        server.store().list_messages("trip", if_none_match=7)
    assert server.requests[0].headers["if-none-match"] == '"7"'


def test_an_odd_version_is_an_incompatible_server() -> None:
    with pytest.raises(package.IncompatibleServer, match="weird"):
        failing(httpx.Response(200, json=CONVERSATION, headers={"x-contract-version": "weird"}))


def test_an_incompatible_server_writes_nothing() -> None:
    server = Server(ok(CONVERSATION), version="9.1.0")
    with pytest.raises(package.IncompatibleServer, match=r"9\.1\.0"):
        server.store().create_conversation(id="trip")
    assert server.requests == [] and server.asked == 1


@pytest.mark.anyio
async def test_the_version_is_asked_once_and_only_before_a_first_write() -> None:
    server = Server(*[ok(CONVERSATION)] * 4)
    store = server.store()
    store.create_conversation(id="trip")
    store.create_conversation(id="trip")
    server.store().get_conversation("trip")
    server.store(check_version=False).create_conversation(id="trip")
    assert server.asked == 1 and len(server.requests) == 4
    other = Server(ok(CONVERSATION), version="9.1.0")
    async with AsyncConversationStore("http://store", transport=httpx.MockTransport(other)) as asynchronous:
        with pytest.raises(package.IncompatibleServer):
            await asynchronous.create_conversation(id="trip")
    assert other.requests == []


@pytest.mark.parametrize(("version", "warned"), [(CONTRACT_VERSION, False), ("0.99.0", False), (None, True)])
def test_versions_are_compared_once(version: str | None, warned: bool) -> None:
    headers = {"x-contract-version": version} if version else {}
    store = Server(*[httpx.Response(200, json=CONVERSATION, headers=headers)] * 2).store()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store.get_conversation("trip")
        store.get_conversation("trip")
    assert [each.category for each in caught] == [package.IncompatibleServerWarning] * warned
    assert all(CONTRACT_VERSION in str(each.message) and each.filename == __file__ for each in caught)


def test_another_major_version_is_an_error_each_time() -> None:
    store = Server(*[httpx.Response(200, json=CONVERSATION, headers={"x-contract-version": "9.1.0"})] * 2).store()
    for _ in range(2):
        with pytest.raises(package.IncompatibleServer, match=rf"9\.1\.0.*{CONTRACT_VERSION}"):
            store.get_conversation("trip")


def test_tokens_and_owner() -> None:
    server = Server(*[ok(CONVERSATION)] * 3)
    tokens = iter(["first", "second"])
    server.store(auth="fixed", owner="ann").get_conversation("trip")
    provided = server.store(auth=lambda: next(tokens))
    provided.get_conversation("trip")
    provided.get_conversation("trip")
    assert [it.headers["authorization"] for it in server.requests] == ["Bearer fixed", "Bearer first", "Bearer second"]
    assert server.requests[0].headers["x-owner-id"] == "ann"


@pytest.mark.anyio
async def test_an_async_token_provider() -> None:
    async def token() -> str:
        return "awaited"

    server = Server(ok(CONVERSATION))
    async with AsyncConversationStore("http://store", auth=token, transport=httpx.MockTransport(server)) as store:
        await store.get_conversation("trip")
    assert server.requests[0].headers["authorization"] == "Bearer awaited"
    with pytest.raises(TypeError, match="AsyncConversationStore"):
        server.store(auth=token).get_conversation("trip")


def test_requests_are_signed_as_aws_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is checked by computing it again with botocore, from what arrived."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "SESSION_TOKEN": "session"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = Server(ok({"id": "trip", "version": 3, "data": []}))
    server.store(auth=package.AwsAuth("eu-west-1"), owner="ann").add_messages("a~b", [{"role": "user", "content": "é"}])
    got = server.requests[0]
    names = got.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token", "x-owner-id", "idempotency-key"} <= set(names)
    expected = AWSRequest(method="POST", url=str(got.url), data=got.content)
    for name in names:
        expected.headers[name] = got.headers[name]
    expected.context["timestamp"] = got.headers["x-amz-date"]
    signer = SigV4Auth(Credentials("key", "secret", "session"), "execute-api", "eu-west-1")
    signature = signer.signature(signer.string_to_sign(expected, signer.canonical_request(expected)), expected)
    assert got.headers["authorization"].endswith(f"Signature={signature}")


def test_a_space_in_a_query_is_signed_and_sent_as_aws_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.auth import SigV4Auth

    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    signed: list[str] = []
    canonical = SigV4Auth.canonical_request

    def noting(*args: Any) -> Any:
        signed.append(canonical(*args))
        return signed[-1]

    monkeypatch.setattr(SigV4Auth, "canonical_request", noting)
    server = Server(ok({"data": [], "has_more": False}))
    server.store(auth=package.AwsAuth("eu-west-1")).list_records("trip", key=["a b", "a+b", "é~/*"], limit=7)
    expected = "key=a%20b&key=a%2Bb&key=%C3%A9~%2F%2A&limit=7"
    assert server.requests[0].url.raw_path.decode() == f"/v1/conversations/trip/records?{expected}"
    assert signed[0].split("\n")[2].split("&") == sorted(expected.split("&"))
    assert server.requests[0].url.params.get_list("key") == ["a b", "a+b", "é~/*"]


@pytest.mark.anyio
async def test_credentials_do_not_block_the_event_loop() -> None:
    threads = []

    class Session:
        def get_credentials(self) -> Any:
            from botocore.credentials import Credentials

            threads.append(threading.current_thread())
            return Credentials("key", "secret")

    server = Server(ok({"id": "trip", "version": 3, "data": []}))
    auth = package.AwsAuth("eu-west-1", session=Session())
    async with AsyncConversationStore(
        "http://store", auth=auth, transport=httpx.MockTransport(server), check_version=False
    ) as store:
        await store.add_messages("trip", [{"role": "user", "content": "é"}])
    assert "Signature=" in server.requests[0].headers["authorization"]
    assert threads and threading.main_thread() not in threads


def test_event_loops_can_share_a_client() -> None:
    """As ADK's `Runner.run`, which makes a loop for each call."""
    opened: list[Any] = []

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return ok(CONVERSATION)

    class Client(httpx.AsyncClient):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            opened.append(self)

    store = AsyncConversationStore("http://store", transport=Transport())
    store._made = lambda: Client(base_url="http://store", transport=Transport())

    async def twice() -> None:
        await store.get_conversation("trip")
        await store.get_conversation("trip")
        assert not opened[-1].is_closed

    for _ in range(3):
        asyncio.run(twice())
    # One for each loop, which was closed with it.
    assert len(opened) == 3 and all(it.is_closed for it in opened)
    assert len(store._clients) <= 1

    async def ends() -> None:
        await store.get_conversation("trip")
        await store.aclose()
        assert opened[-1].is_closed
        with pytest.raises(RuntimeError, match="closed"):
            await store.get_conversation("trip")

    asyncio.run(ends())


@pytest.mark.anyio
async def test_steps_may_pause(waits: list[float]) -> None:
    def steps() -> package.Steps[str]:
        for attempt in range(12):
            yield from pause(attempt)
        return (yield from operations.get_conversation("trip")).id

    server = Server(ok(CONVERSATION), ok(CONVERSATION))
    assert server.store().run(steps()) == "trip" and len(waits) == 12
    assert waits[0] <= 0.02 and 0.32 <= waits[5] <= 0.64 and waits[-1] <= 2
    async with AsyncConversationStore("http://store", transport=httpx.MockTransport(server)) as store:
        assert await store.run(steps()) == "trip" and len(waits) == 24


def test_texts_that_utf8_cannot_say_are_sent() -> None:
    server = Server(*[ok({"id": "trip", "version": 3, "data": []})] * 2)
    server.store().add_messages("trip", [{"role": "user", "content": "caf\u00e9 \ud83d"}])
    server.store().add_messages("trip", [{"role": "user", "content": "café"}])
    assert json.loads(server.requests[0].content)["messages"][0]["content"] == "caf\u00e9 \ud83d"
    assert "café".encode() in server.requests[1].content


def test_records_in_paths_and_in_batches() -> None:
    record = {"object": "record", "key": "k", "revision": 4, "size": 2, "content_type": "text/plain"}
    got = httpx.Response(200, content=b"\xff\x00", headers={**SPOKEN, "etag": '"4"', "content-type": "image/png"})
    listed = {"object": "list", "data": [{**record, "base64": "/wA="}], "has_more": False}
    server = Server(
        got, ok(listed), ok({"data": [record]}), ok({"data": [{"object": "record.deletion", "deleted": 1}]})
    )
    store = server.store()
    assert store.get_record("trip", "a/b c") == package.Record("a/b c", 4, 2, "image/png", value=b"\xff\x00")
    assert store.get_record("trip", "what?").value == b"\xff\x00"
    assert store.put_record(None, "../x", b"\xff", if_match=3).revision == 4
    assert store.delete_record(None, "a//b").deleted == 1
    paths = [request.url.raw_path.decode() for request in server.requests]
    assert paths[0] == "/v1/conversations/trip/records/a/b%20c"
    assert paths[1] == "/v1/conversations/trip/records?key=what%3F&values=true"
    assert paths[2:] == ["/v1/records"] * 2
    assert json.loads(server.requests[2].content) == {"records": [{"key": "../x", "base64": "/w==", "if_match": 3}]}


def test_pages_follow_each_other() -> None:
    pages = [
        ok({"data": [{"id": "c"}], "has_more": True, "before": 3, "after": 3}, etag='"3"'),
        ok({"data": [{"id": "b"}], "has_more": False, "before": None, "after": 2}, etag='"3"'),
    ]
    server = Server(*pages)
    got = list(server.store().message_pages("trip", limit=1))
    assert [page.data[0]["id"] for page in got] == ["c", "b"] and got[0].version == 3
    assert str(server.requests[1].url.query, "ascii") == "limit=1&before=3"


EXPORTED = ['{"record":"owner","n":12345678901234567890}', '{"record":"message","body":"a\u2028b\x85c"}']
ERASURE = {"object": "owner.erasure", "id": "erasure_1", "owner_hash": "0a", "shard": 7, "requested_by": "owner"} | {
    "requested_at": 5,
    "hidden_at": 6,
    "completed_at": None,
    "conversations": 4,
    "messages": 0,
    "records": 0,
    "remaining": 5,
}


def export(*lines: str, **headers: str) -> httpx.Response:
    text = "".join(f"{line}\n" for line in lines)
    kind = {"content-type": "application/x-ndjson"}
    return httpx.Response(200, content=text.encode(), headers={**SPOKEN, **kind, **headers})


@pytest.mark.anyio
async def test_an_export_is_read_page_by_page() -> None:
    def answers() -> list[Answer]:
        first = export(*EXPORTED, link='<?after=eyJtIjoi-_1>; rel="next"')
        return [first, refused(503, code="unavailable"), export('{"record":"record"}')]

    server = Server(*answers(), *answers(), *answers(), export())
    lines = [{"record": "owner", "n": 12345678901234567890}, {"record": "message", "body": "a\u2028b\x85c"}]
    assert list(server.store().export_owner()) == [*lines, {"record": "record"}]
    pages = list(server.store().export_pages())
    assert [page.after for page in pages] == ["eyJtIjoi-_1", None]
    assert pages[0].text == "".join(f"{line}\n" for line in EXPORTED)
    async with AsyncConversationStore("http://store", transport=httpx.MockTransport(server)) as store:
        assert [line async for line in store.export_owner()] == [*lines, {"record": "record"}]
        assert [page.lines async for page in store.export_pages(after="eyJtIjoi-_1")] == [[]]
    queries = [str(request.url.query, "ascii") for request in server.requests]
    assert queries == [*["", "after=eyJtIjoi-_1", "after=eyJtIjoi-_1"] * 3, "after=eyJtIjoi-_1"]


def test_deletions_of_many_and_of_all_are_sent_again() -> None:
    deletions = {"object": "conversation.deletions", "dry_run": True, "matched": 12, "deleted": 0, "has_more": False}
    erased = {"object": "owner.deleted", "deleted": True, "erasure": ERASURE}
    underway = refused(503, {"retry-after": "1"}, code="erasure_underway")
    owned = {"object": "owner", "conversations": 3, "messages": 6, "records": 4, "bytes": 1234, "erasure": None}
    lost = httpx.ReadError("lost")
    answers: list[Answer] = [ok(deletions), lost, ok({**deletions, "dry_run": False}), underway, ok(erased), ok(owned)]
    server = Server(*answers, ok({**owned, "erasure": ERASURE}))
    store = server.store()
    counted = store.delete_conversations(metadata={"a b": "c&d"}, forked_from="trip", archived="any")
    assert counted == package.ConversationDeletions(True, 12, 0, False)
    assert not store.delete_conversations(archived=True, dry_run=False).dry_run
    erasure = store.delete_owner()
    assert (erasure.id, erasure.hidden_at, erasure.completed_at, erasure.remaining) == ("erasure_1", 6, None, 5)
    assert store.owner() == package.OwnerData(3, 6, 4, 1234)
    assert store.owner().erasure == erasure
    assert [(it.method, it.url.raw_path.decode()) for it in server.requests[:5]] == [
        ("DELETE", "/v1/conversations?metadata%5Ba%20b%5D=c%26d&forked_from=trip&archived=any&dry_run=true"),
        *[("DELETE", "/v1/conversations?archived=true&dry_run=false")] * 2,
        *[("DELETE", "/v1/owner")] * 2,
    ]
    assert set(server.keys) == {None}


def test_what_a_change_of_a_conversation_does_not_name_stays() -> None:
    server = Server(*[ok({**CONVERSATION, "archived": True, "expires_after": 60, "expires_at": 61})] * 3)
    store = server.store()
    made = store.create_conversation(archived=True, expires_after=60)
    assert (made.archived, made.expires_after, made.expires_at) == (True, 60, 61)
    store.update_conversation("trip", archived=False)
    store.update_conversation("trip", expires_after=None)
    bodies = [json.loads(request.content) for request in server.requests]
    assert bodies == [{"archived": True, "expires_after": 60}, {"archived": False}, {"expires_after": None}]


def test_many_records_take_few_requests() -> None:
    assert [len(batch) for batch in _batches([Delete(str(number)) for number in range(250)])] == [100, 100, 50]
    large = [Put("a", b"x" * 2_000_000), Put("b", b"x" * 2_000_000), Put("c", b"x" * 3_500_000), Put("d", "")]
    assert [[it.key for it in batch] for batch in _batches(large)] == [["a"], ["b"], ["c"], ["d"]]
    urls = list(_urls([("key", f"lg/c/{number:040}") for number in range(500)]))
    assert sum(len(keys) for keys, _ in urls) == 500 and 4 <= len(urls) <= 7


def test_batches_that_are_too_large_are_halved() -> None:
    records = [{"object": "record.deletion", "deleted": 1, "key": str(number)} for number in range(5)]
    large = refused(413, code="request_too_large")
    server = Server(large, ok({"data": records[:2]}), large, ok({"data": records[2:3]}), ok({"data": records[3:]}))
    written = server.store().write_many_records("trip", [Delete(str(number)) for number in range(5)])
    assert [getattr(it, "key", None) for it in written] == ["0", "1", "2", "3", "4"]
    with pytest.raises(package.TooLarge):
        Server(large).store().write_many_records("trip", [Delete("a")])


@pytest.mark.parametrize("name", ["trip", "a~b", "~a", "user/42", "", "..", "naïve ☃", "x y%z", "+49 (0)30|7"])
def test_names_of_threads_are_ids_and_back(name: str) -> None:
    assert name_of(conversation_id(name)) == name
    assert (conversation_id(name) == name) is (name in ("trip", "a~b"))


def test_names_that_are_too_long_have_an_id_of_their_own() -> None:
    names = ["☃" * 50, "☃" * 51, "x" * 129, "~" * 40, "a\ud83d", "~~." + "0" * 64, conversation_id("x" * 129)]
    ids = [conversation_id(name) for name in names]
    assert len(set(ids)) == len(names) and max(map(len, ids)) <= 128
    assert [name_of(id) for id in ids] == [None, None, None, *names[3:]]
    long = ["☃" * 50, "x" * 121, "a\ud83d", "b\ud83d"]
    parts = [pack_short(name) for name in [*long, "x" * 120, "user/42"]]
    assert len(set(parts)) == 6 and all(it.startswith("~.") and len(it) == 66 for it in parts[:4])
    assert [unpack(it) for it in parts[4:]] == ["x" * 120, "user/42"]


def test_parts_of_keys() -> None:
    first, second = "1ef4f797-8335-6428-8001-8a1503f9b875", "1ef4f797-8335-6428-8002-000000000000"
    for name in (
        first,
        f"child:{first}|grand:{second}",
        "a/b~c%d\0e",
        "UPPER-1EF4F797-8335-6428-8001-8A1503F9B875",
        "é",
    ):
        assert unpack(pack(name)) == name and "/" not in pack(name) and "\0" not in pack(name)
    assert len(pack(first)) == 23
    many = [str(UUID(int=each * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for each in range(500)]
    assert sorted(many, key=pack) == sorted(many)


def test_values_are_squeezed_where_that_helps() -> None:
    for data in (b"", b"\xff\x01", b"channel_versions" * 20, bytes(range(256))):
        assert expand(squeeze(data, b"channel_versions"), b"channel_versions") == data
    assert len(squeeze(b"channel_versions" * 20, b"channel_versions")) < 20


CONTRACT = Path(__file__).resolve().parents[3] / "infra" / "openapi.yaml"


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is in the store's repository")
@pytest.mark.parametrize("client", [ConversationStore, AsyncConversationStore])
def test_there_is_a_method_for_each_operation(client: type) -> None:
    """As the contract's `operationId`; the owner's own records are those of a conversation None."""
    import yaml

    contract = yaml.safe_load(CONTRACT.read_text())
    assert contract["info"]["version"] == CONTRACT_VERSION
    operations = [it for path in contract["paths"].values() for it in path.values() if isinstance(it, dict)]
    for id in [it["operationId"] for it in operations if "operationId" in it]:
        name = "".join(f"_{char.lower()}" if char.isupper() else char for char in id).replace("_own_", "_")
        method: Callable[..., Any] | None = getattr(client, name, None)
        assert method and inspect.getdoc(method), f"{id} has no method {name}"
