"""The operations of the contract, each as a function that builds its request and knows how to read the answer.

The clients have them as methods; code that is to run with either client is a generator that asks with `yield from`:

    def last_words(conversation_id: str) -> Steps[str]:
        page = yield from operations.list_messages(conversation_id, limit=1)
        return page.data[0]["content"]

    store.run(last_words("trip"))
    await async_store.run(last_words("trip"))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from ._wire import (
    Params,
    Request,
    Version,
    added,
    after_last,
    conditions,
    etag,
    given,
    keyed,
    one,
    page_of,
    query,
    record,
    send,
)
from .errors import NotFound, NotModified
from .models import (
    AddedMessages,
    Archived,
    Change,
    Changed,
    Conversation,
    ConversationDeletions,
    ConversationPage,
    Delete,
    ExportPage,
    Health,
    Item,
    ItemPage,
    MessagePage,
    Order,
    OwnerData,
    OwnerErasure,
    Put,
    Record,
    RecordDeletion,
    RecordPage,
    changed,
    read,
)

KEEP: Any = object()
"""The default of `update_conversation`: the field is not changed."""


def create_conversation(
    *,
    id: str | None = None,
    title: str | None = None,
    metadata: Mapping[str, str] | None = None,
    archived: bool | None = None,
    expires_after: int | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    items: Sequence[Mapping[str, Any]] | None = None,
    records: Sequence[Change] | None = None,
    fork_of: str | None = None,
    at: int | None = None,
    records_prefix: str | None = None,
    if_absent: bool = False,
    idempotency_key: str | None = None,
) -> Request[Conversation]:
    """Creates a conversation, optionally with first messages, items or records.

    It expires after `expires_after` seconds without a change.
    With `fork_of` it begins as a copy of another one: of its messages up to position `at`, and of its records, or those
    whose keys begin with `records_prefix`.
    """
    body: dict[str, Any] = {"id": id, "title": title, "metadata": metadata, "messages": messages, "items": items}
    body |= {"fork_of": fork_of, "at": at, "records_prefix": records_prefix, "records": _changes(records)}
    body |= {"archived": archived, "expires_after": expires_after}
    headers = conditions(if_absent=if_absent) | keyed(idempotency_key)
    return send("POST", "/v1/conversations", given(body), headers, one(Conversation))


def get_conversation(
    conversation_id: str, *, min_version: int | None = None, if_none_match: int | None = None
) -> Request[Conversation]:
    """Reads a conversation, at `min_version` or later.

    With `if_none_match` raises `NotModified` if the conversation is at that version.
    """
    params = query(min_version=min_version)
    return Request("GET", _path(conversation_id), one(Conversation), params, conditions(if_none_match=if_none_match))


def list_conversations(
    *,
    metadata: Mapping[str, str] | None = None,
    forked_from: str | None = None,
    archived: Archived | None = None,
    limit: int | None = None,
    order: Order | None = None,
    after: str | None = None,
    before: str | None = None,
) -> Request[ConversationPage]:
    """Lists the owner's conversations by their last change, newest first; only those that have all of `metadata`.

    Those that are archived are left out, unless `archived` is True, which lists only them, or "any".
    """
    filtered = partial(list_conversations, metadata=metadata, forked_from=forked_from, archived=archived)
    again = partial(filtered, limit=limit, order=order)
    parse = page_of(ConversationPage, partial(read, Conversation))

    def more(page: ConversationPage) -> Request[ConversationPage] | None:
        if not page.has_more:
            return None
        return again(before=page.before) if before else again(after=page.after)

    page = query(limit=limit, order=order, after=after, before=before)
    params = [*_filter(metadata, forked_from, archived), *page]
    return Request("GET", "/v1/conversations", parse, params, more=more)


def update_conversation(
    conversation_id: str,
    *,
    title: str | None = KEEP,
    metadata: Mapping[str, str] | None = KEEP,
    archived: bool = KEEP,
    expires_after: int | None = KEEP,
    if_match: Version | None = None,
    idempotency_key: str | None = None,
) -> Request[Conversation]:
    """Changes the fields that are given; None removes a title, the metadata or the time after which it expires."""
    fields = {"title": title, "metadata": metadata, "archived": archived, "expires_after": expires_after}
    body = {name: value for name, value in fields.items() if value is not KEEP}
    headers = conditions(if_match=if_match) | keyed(idempotency_key)
    return send("POST", _path(conversation_id), body, headers, one(Conversation))


def delete_conversation(conversation_id: str, *, if_match: Version | None = None) -> Request[None]:
    """Deletes a conversation with its messages and records. Its id is not used again."""
    return Request("DELETE", _path(conversation_id), lambda _: None, headers=conditions(if_match=if_match))


def delete_conversations(
    *,
    metadata: Mapping[str, str] | None = None,
    forked_from: str | None = None,
    archived: Archived | None = None,
    dry_run: bool = True,
) -> Request[ConversationDeletions]:
    """Deletes the conversations that `list_conversations` has for the same filter, or with `dry_run` counts them.

    There must be a filter: metadata, `forked_from` or `archived=True`. One request takes up to 1,000 of them, each if
    it has not changed since it was found; if the answer has `has_more`, there are more. Where the answer is lost, the
    request is sent again, and then counts what was left.
    """
    params = [*_filter(metadata, forked_from, archived), *query(dry_run=_flag(dry_run))]
    return Request("DELETE", "/v1/conversations", one(ConversationDeletions), params)


def add_messages(
    conversation_id: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    records: Sequence[Change] | None = None,
    if_match: Version | None = None,
    if_absent: bool = False,
    idempotency_key: str | None = None,
) -> Request[AddedMessages]:
    """Adds 1 to 100 messages, with up to 100 changes of records, in one commit.

    Creates the conversation if it is new.
    """
    body = given({"messages": messages, "records": _changes(records)})
    headers = conditions(if_match=if_match, if_absent=if_absent) | keyed(idempotency_key)
    return send("POST", _path(conversation_id, "messages"), body, headers, added)


def replace_messages(
    conversation_id: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    after: int,
    records: Sequence[Change] | None = None,
    if_match: Version | None = None,
    idempotency_key: str | None = None,
) -> Request[AddedMessages]:
    """Replaces the messages after position `after` by others, or by none, in one commit."""
    body = given({"messages": messages, "records": _changes(records)})
    headers = conditions(if_match=if_match) | keyed(idempotency_key)
    return send("PUT", _path(conversation_id, "messages"), body, headers, added, query(after=after))


def list_messages(
    conversation_id: str,
    *,
    limit: int | None = None,
    before: int | None = None,
    after: int | None = None,
    start_on: str | None = None,
    min_version: int | None = None,
    if_none_match: int | None = None,
) -> Request[MessagePage]:
    """Reads the last messages, oldest first, or those next to a position; `after=0` begins at the beginning."""
    again = partial(list_messages, conversation_id, limit=limit, start_on=start_on)

    def more(page: MessagePage) -> Request[MessagePage] | None:
        if not page.has_more:
            return None
        return again(before=page.before) if after is None else again(after=page.after)

    params = query(limit=limit, before=before, after=after, start_on=start_on, min_version=min_version)
    headers = conditions(if_none_match=if_none_match)
    return Request("GET", _path(conversation_id, "messages"), page_of(MessagePage), params, headers, more=more)


def add_items(
    conversation_id: str,
    items: Sequence[Mapping[str, Any]],
    *,
    if_match: Version | None = None,
    idempotency_key: str | None = None,
) -> Request[ItemPage]:
    """Adds 1 to 20 items to a conversation that exists. `has_more`: not all of them fit into the answer."""
    headers = conditions(if_match=if_match) | keyed(idempotency_key)
    return send("POST", _path(conversation_id, "items"), {"items": items}, headers, page_of(ItemPage))


def list_items(
    conversation_id: str,
    *,
    limit: int | None = None,
    order: Order | None = None,
    after: str | None = None,
    min_version: int | None = None,
    if_none_match: int | None = None,
) -> Request[ItemPage]:
    """Lists the items of a conversation, newest first."""
    again = partial(list_items, conversation_id, limit=limit, order=order)
    params = query(limit=limit, order=order, after=after, min_version=min_version)
    headers = conditions(if_none_match=if_none_match)
    path = _path(conversation_id, "items")
    return Request("GET", path, page_of(ItemPage), params, headers, more=after_last(again))


def get_item(conversation_id: str, item_id: str, *, if_none_match: int | None = None) -> Request[Item]:
    """Reads one item. With `if_none_match` raises `NotModified` if the conversation has not changed."""
    path = _path(conversation_id, "items", item_id)
    return Request("GET", path, lambda answer: dict(answer.json()), headers=conditions(if_none_match=if_none_match))


def delete_item(conversation_id: str, item_id: str, *, if_match: Version | None = None) -> Request[Conversation]:
    """Deletes one message, by its id or that of its only item."""
    path = _path(conversation_id, "items", item_id)
    return Request("DELETE", path, one(Conversation), headers=conditions(if_match=if_match))


def put_record(
    conversation_id: str | None,
    key: str,
    value: str | bytes,
    *,
    content_type: str | None = None,
    if_match: Version | None = None,
    if_absent: bool = False,
    idempotency_key: str | None = None,
) -> Request[Record]:
    """Stores up to 4 MiB under a key of a conversation, which is created if it is new, or of the owner (None).

    Gateways change some keys in a path: those with ``? # % \\`` or control characters, and those with an empty segment,
    `.` or `..`. These go as base64 in a batch, which takes bytes up to 3 MB.
    """
    if not _fits_path(key):
        change = Put(key, value, content_type, if_match, if_absent)
        return _alone(write_records(conversation_id, [change], idempotency_key=idempotency_key))
    kind = content_type or ("text/plain; charset=utf-8" if isinstance(value, str) else "application/octet-stream")
    headers = conditions(if_match=if_match, if_absent=if_absent) | keyed(idempotency_key) | {"content-type": kind}
    content = value.encode() if isinstance(value, str) else value
    return Request("PUT", _records(conversation_id, key), record, headers=headers, content=content)


def get_record(conversation_id: str | None, key: str, *, if_none_match: int | None = None) -> Request[Record]:
    """Reads a record. With `if_none_match` raises `NotModified` if it is at that revision."""
    if not _fits_path(key):
        found = list_records(conversation_id, key=[key], values=True)
        return Request("GET", found.path, lambda answer: _found(found.parse(answer), if_none_match), found.params)

    def parse(answer: httpx.Response) -> Record:
        kind = answer.headers.get("content-type", "application/octet-stream")
        return Record(key, etag(answer), len(answer.content), kind, value=answer.content)

    headers = conditions(if_none_match=if_none_match)
    return Request("GET", _records(conversation_id, key), parse, headers=headers)


def list_records(
    conversation_id: str | None,
    *,
    prefix: str | Sequence[str] = (),
    key: Sequence[str] = (),
    after: str | None = None,
    order: Order | None = None,
    limit: int | None = None,
    values: bool = False,
) -> Request[RecordPage]:
    """Lists records by prefixes and keys, in the order of their keys; of a conversation that is not there, none."""
    prefixes = [prefix] if isinstance(prefix, str) else prefix
    again = partial(list_records, conversation_id, prefix=prefix, key=key, order=order, limit=limit, values=values)
    params = [*(("prefix", it) for it in prefixes), *(("key", it) for it in key)]
    more = query(after=after, order=order, limit=limit, values="true" if values else None)
    parse = page_of(RecordPage, Record.read)
    return Request("GET", _records(conversation_id), parse, [*params, *more], more=after_last(again))


def delete_record(
    conversation_id: str | None, key: str, *, if_match: Version | None = None, idempotency_key: str | None = None
) -> Request[RecordDeletion]:
    """Deletes a record; one that is not there is none of `deleted`."""
    if not _fits_path(key):
        return _alone(write_records(conversation_id, [Delete(key, if_match)], idempotency_key=idempotency_key))
    headers = conditions(if_match=if_match) | keyed(idempotency_key)
    return Request("DELETE", _records(conversation_id, key), one(RecordDeletion), headers=headers)


def delete_records(
    conversation_id: str | None, prefix: str, *, idempotency_key: str | bool | None = None
) -> Request[RecordDeletion]:
    """Deletes up to 100,000 records whose keys begin with a prefix, in one commit.

    If the answer has `has_more`, there are more: send another such request. Without an `Idempotency-Key` (False) a
    retry, or a duplicate that arrives late, deletes what has come since, too.
    """
    headers = keyed(idempotency_key)
    return Request("DELETE", _records(conversation_id), one(RecordDeletion), [("prefix", prefix)], headers)


def write_records(
    conversation_id: str | None, changes: Sequence[Change], *, idempotency_key: str | bool | None = None
) -> Request[list[Changed]]:
    """Stores and deletes up to 100 records, all or none.

    The server remembers an `Idempotency-Key` for a week at least. Without one (False) a retry does the same again, and
    a duplicate that arrives late undoes what came after it.
    """

    def parse(answer: httpx.Response) -> list[Changed]:
        return [changed(each) for each in answer.json()["data"]]

    headers = keyed(idempotency_key)
    return send("POST", _records(conversation_id), {"records": _changes(changes)}, headers, parse)


def owner() -> Request[OwnerData]:
    """Tells how much the caller has, and how far its last erasure has come."""

    def parse(answer: httpx.Response) -> OwnerData:
        body = answer.json()
        erasure = body["erasure"] and read(OwnerErasure, body["erasure"])
        return read(OwnerData, {**body, "erasure": erasure})

    return Request("GET", "/v1/owner", parse)


def delete_owner() -> Request[OwnerErasure]:
    """Erases everything that the caller has: when it is answered, nobody can read any of it.

    The store removes it afterwards, as far as `owner` tells. Ids of its conversations are not used again.
    """
    return Request("DELETE", "/v1/owner", lambda answer: read(OwnerErasure, answer.json()["erasure"]))


def export_owner(*, after: str | None = None) -> Request[ExportPage]:
    """Exports everything that the caller has, as the lines that the command `import` takes.

    The client's `export_owner` iterates over all lines, parsed, and its `export_pages` over the pages that they come
    in, each of which can be imported by itself. `after` goes on behind a page.
    """

    def parse(answer: httpx.Response) -> ExportPage:
        link = answer.links.get("next")
        cursor = parse_qs(urlsplit(link["url"]).query)["after"][0] if link else None
        return ExportPage(answer.content.decode(), cursor)

    def more(page: ExportPage) -> Request[ExportPage] | None:
        return export_owner(after=page.after) if page.after else None

    return Request("GET", "/v1/owner/export", parse, query(after=after), more=more)


def health(*, deep: bool = False) -> Request[Health]:
    """Tells whether the API runs and which contract it speaks, and with `deep` whether its stores answer."""
    return Request("GET", "/v1/health", one(Health), query(deep=1 if deep else None))


def _flag(value: Archived | None) -> str | None:
    """How a query has it."""
    return ("true" if value else "false") if isinstance(value, bool) else value


def _filter(metadata: Mapping[str, str] | None, forked_from: str | None, archived: Archived | None) -> Params:
    """Which conversations are listed or deleted."""
    pairs = [(f"metadata[{name}]", value) for name, value in (metadata or {}).items()]
    return [*pairs, *query(forked_from=forked_from, archived=_flag(archived))]


def _changes(changes: Iterable[Change] | None) -> list[dict[str, Any]] | None:
    return None if changes is None else [change.json() for change in changes]


def _path(*parts: str) -> str:
    return "/".join(["/v1/conversations", *(quote(part, safe="~!$()*+,;=:@[]|") for part in parts)])


def _records(conversation_id: str | None, key: str | None = None) -> str:
    scope = "/v1" if conversation_id is None else _path(conversation_id)
    return f"{scope}/records" if key is None else f"{scope}/records/{quote(key, safe='/~')}"


def _fits_path(key: str) -> bool:
    """Whether gateways leave the key as it is in a path: others go through a query or a batch."""
    return not re.search(r"[?#%\\\x00-\x1f\x7f]|(?:^|/)\.{0,2}(?:/|$)", key)


def _found(page: RecordPage, if_none_match: int | None) -> Record:
    if not page.data:
        raise NotFound("There is no such record.", 404, code="record_not_found", param="key")
    if page.data[0].revision == if_none_match:
        raise NotModified(f"Not modified since revision {if_none_match}.")
    return page.data[0]


def _alone(batch: Request[list[Changed]]) -> Request[Any]:
    return Request(batch.method, batch.path, lambda answer: batch.parse(answer)[0], (), batch.headers, batch.content)
