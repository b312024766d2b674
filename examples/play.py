#!/usr/bin/env python3
"""Play conversation.ndjson against a running API and check what the store promises.

    python3 examples/play.py                     # beside a running `make run`
    python3 examples/play.py --url https://...   # any other deployment

Each phase below is one function and one line of output. The first broken
promise ends the run with one line that says which, and with exit code 1.

Standard library only, Python 3.8 or newer. Everything is compared as bytes:
parsing a message and printing it again would hide exactly the losses this
script is looking for (1.0 to 1, a big integer rounded, keys in another order).
"""

import argparse
import http.client
import json
import os
import random
import re
import secrets
import socket
import ssl
import sys
import time
from collections import namedtuple
from pathlib import Path
from urllib.parse import quote, unquote, urlencode, urlsplit

HERE = Path(__file__).resolve().parent
RECENT = 100  # how many messages Redis keeps of each conversation
PAGE = 37  # divides neither 100 nor 300, so pages straddle the cache's edge
TTL_AT_LEAST = 604_000  # a week, less the seconds this run may take
TIMEOUT = 60


class Broken(Exception):
    """A promise the store did not keep."""


def promise(kept, text):
    if not kept:
        raise Broken(text)


# --- Raw JSON: cutting text without re-writing it ------------------------------

STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
STRING_AT = re.compile(STRING, re.S)
STRING_OR_BRACKET = re.compile(STRING + rb"|[\[\]{}]", re.S)
NUMBER_OR_WORD = re.compile(rb"[^\s,\]}]+")
BETWEEN = re.compile(rb"[\s,:]*")


def end_of_value(text, start):
    """Where the JSON value that begins at `start` ends."""
    first = text[start : start + 1]
    if first == b'"':
        return STRING_AT.match(text, start).end()
    if first not in (b"{", b"["):
        return NUMBER_OR_WORD.match(text, start).end()
    depth = 0
    for token in STRING_OR_BRACKET.finditer(text, start):
        # Whole strings are one token, so brackets inside them never count.
        if token.group() in (b"{", b"["):
            depth += 1
        elif token.group() in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
    raise ValueError("the JSON text ends inside a value")


def elements(array):
    """The raw texts of an array's elements."""
    found, at = [], BETWEEN.match(array, array.index(b"[") + 1).end()
    while array[at : at + 1] != b"]":
        end = end_of_value(array, at)
        found.append(array[at:end])
        at = BETWEEN.match(array, end).end()
    return found


def fields(obj):
    """The top-level fields of an object: name -> raw text of the value."""
    found, at = {}, BETWEEN.match(obj, obj.index(b"{") + 1).end()
    while obj[at : at + 1] != b"}":
        name_end = end_of_value(obj, at)
        value = BETWEEN.match(obj, name_end).end()
        end = end_of_value(obj, value)
        found[json.loads(obj[at:name_end])] = obj[value:end]
        at = BETWEEN.match(obj, end).end()
    return found


# The store adds its own fields right behind the opening brace and nowhere else.
ADDED = re.compile(rb'\{"seq":(\d+),"created_at":(\d+),')
ADDED_WITH_ID = re.compile(rb'\{"id":"([^"\\]+)","seq":(\d+),"created_at":(\d+),')


def check_message(raw, sent, seq, where):
    """`raw`, as returned, is `sent`, byte for byte, behind the fields added for `seq`."""
    has_own_id = "id" in fields(sent)
    added = (ADDED if has_own_id else ADDED_WITH_ID).match(raw)
    promise(added, "%s: message %d does not begin with the added fields: %s" % (where, seq, show(raw)))
    got = int(added.group(1 if has_own_id else 2))
    promise(got == seq, "%s: expected seq %d, got %d" % (where, seq, got))
    text = b"{" + raw[added.end() :]
    promise(text == sent, "%s: message %d changed: %s" % (where, seq, first_difference(sent, text)))


def first_difference(sent, got):
    at = next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))
    near = slice(max(0, at - 20), at + 20)
    return "at byte %d sent %s, got %s" % (at, show(sent[near]), show(got[near]))


def show(raw, width=120):
    return repr(raw[:width].decode("utf-8", "replace")) + ("..." if len(raw) > width else "")


# --- The HTTP API ----------------------------------------------------------------

Answer = namedtuple("Answer", "status headers body json")


class Api:
    def __init__(self, url):
        self.url = urlsplit(url)
        if self.url.scheme not in ("http", "https") or not self.url.hostname:
            raise SystemExit("not an http(s) URL: %r" % url)

    def call(self, method, path, body=None, expect=(200, 201), **query):
        target = self.url.path.rstrip("/") + path + ("?" + urlencode(query) if query else "")
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.hostname, self.url.port, timeout=TIMEOUT)
        try:
            headers = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            status, got_headers, got = response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException) as problem:
            raise Broken("no answer from %s to %s %s: %s" % (self.url.netloc, method, target, problem))
        finally:
            connection.close()
        promise(
            status in expect,
            "%s %s: expected status %s, got %d %s" % (method, target, " or ".join(map(str, expect)), status, show(got)),
        )
        try:
            parsed = json.loads(got) if got.strip() else None
        except ValueError:
            raise Broken("%s %s: the answer is not JSON: %s" % (method, target, show(got)))
        return Answer(status, got_headers, got, parsed)


class Conversation:
    """One conversation, as the API lets us see it."""

    def __init__(self, api, name):
        self.api, self.name = api, name
        self.path = "/v1/conversations/" + quote(name, safe="")

    def add(self, lines):
        # One message may be sent bare; several go into a list. The lines are
        # joined as they are, so the store sees the file's own spelling.
        body = lines[0] if len(lines) == 1 else b'{"messages":[' + b",".join(lines) + b"]}"
        return self.api.call("POST", self.path + "/messages", body)

    def messages(self, **query):
        return self.api.call("GET", self.path + "/messages", **query)

    def get(self):
        return self.api.call("GET", self.path).json

    def delete(self):
        return self.api.call("DELETE", self.path).json

    def is_gone(self):
        for path in (self.path, self.path + "/messages"):
            self.api.call("GET", path, expect=(404,))


def data_of(answer):
    """The raw texts of the messages in an answer, in order."""
    promise(answer.json.get("object") == "list", "not a list: %s" % show(answer.body))
    raws = elements(fields(answer.body)["data"])
    ids = [json.loads(raw)["id"] for raw in raws]
    if ids:
        promise(
            (answer.json["first_id"], answer.json["last_id"]) == (ids[0], ids[-1]),
            "first_id and last_id are not those of the first and the last message",
        )
    return raws


def cache_status(answer):
    """The Cache-Status header, and whether it reports a hit (RFC 9211)."""
    value = answer.headers.get("Cache-Status", "")
    return value or "(no Cache-Status)", "hit" in [part.strip() for part in value.split(";")[1:]]


# --- Redis, just enough of it ----------------------------------------------------


class Redis:
    """A RESP client for the handful of commands this script needs."""

    def __init__(self, url):
        at = urlsplit(url)
        if at.scheme not in ("redis", "rediss"):
            raise ValueError("REDIS_URL is not a redis:// URL")
        self.socket = socket.create_connection((at.hostname or "127.0.0.1", at.port or 6379), timeout=10)
        if at.scheme == "rediss":
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=at.hostname)
        self.file = self.socket.makefile("rb")
        if at.password:
            user = [unquote(at.username)] if at.username else []
            self("AUTH", *(user + [unquote(at.password)]))
        if at.path.strip("/"):
            self("SELECT", at.path.strip("/"))

    def __call__(self, *words):
        words = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise ConnectionError("Redis says " + rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        return rest


def connect_redis(url):
    """A client, or None and the reason."""
    if not url:
        return None, "no REDIS_URL"
    try:
        redis = Redis(url)
        redis("PING")
        return redis, None
    except (OSError, ValueError) as problem:
        return None, "Redis is not reachable: %s" % problem


# --- The phases --------------------------------------------------------------------


def add_all(play):
    """Add every message in order: gapless seqs, and each answer is the sent text."""
    version, requests = 0, 0
    for first, lines in batches(play.lines, play.batch):
        answer = play.conversation.add(lines)
        raws = data_of(answer)
        promise(answer.json["id"] == play.conversation.name, "add: the answer names another conversation")
        promise(answer.json["has_more"] is False, "add: has_more is not false")
        promise(answer.json["version"] >= version, "add: the version went back from %d" % version)
        promise(len(raws) == len(lines), "add: sent %d messages, got %d back" % (len(lines), len(raws)))
        for seq, (raw, sent) in enumerate(zip(raws, lines), first):
            check_message(raw, sent, seq, "add")
        play.stored += raws
        version, requests = answer.json["version"], requests + 1
    return "%d messages in %d requests, seqs 1 to %d, every text verbatim" % (len(play.lines), requests, len(play.lines))


def batches(lines, most):
    """Single messages and batches, mixed; the seed keeps every run the same."""
    dice, at = random.Random(300), 0
    while at < len(lines):
        size = 1 if most == 1 or dice.random() < 0.4 else dice.randint(2, most)
        yield at + 1, lines[at : at + size]
        at += size


def read_recent(play):
    """The last messages come from Redis."""
    answer = recent(play, "recent")
    status, hit = cache_status(answer)
    promise(hit, "recent: not answered from Redis: %s" % status)
    return "%d messages in order, %s" % (play.expect_recent, status)


def recent(play, where):
    """GET the newest messages and check them against the file."""
    answer = play.conversation.messages(limit=RECENT)
    raws, total = data_of(answer), len(play.lines)
    first = total - play.expect_recent + 1
    promise(len(raws) == play.expect_recent, "%s: expected %d messages, got %d" % (where, play.expect_recent, len(raws)))
    for seq, raw in enumerate(raws, first):
        check_message(raw, play.lines[seq - 1], seq, where)
        promise(raw == play.stored[seq - 1], "%s: the fields added to message %d changed" % (where, seq))
    older = first if first > 1 else None
    promise(answer.json["before"] == older, "%s: before should be %s, is %s" % (where, older, answer.json["before"]))
    promise(answer.json["after"] == total, "%s: after should be %d, is %s" % (where, total, answer.json["after"]))
    promise(answer.json["has_more"] is (older is not None), "%s: has_more is wrong" % where)
    return answer


def lose_the_cache(play):
    """Redis may forget at any time: the answer stays the same and Redis learns it again."""
    if not play.redis:
        return "skipped, %s" % play.no_redis
    promise(
        play.redis("EXISTS", play.messages_key) == 1,
        "lose the cache: a hit, but no key %s in this Redis (wrong --owner or REDIS_URL?)" % play.messages_key,
    )
    before = recent(play, "before losing the cache").body
    misses = []
    for keys in ([play.messages_key], [play.messages_key, play.hash_key]):
        where = "after DEL " + " ".join(keys)
        play.redis("DEL", *keys)
        from_postgres = recent(play, where)
        status, hit = cache_status(from_postgres)
        promise(not hit, "%s: still reports a hit: %s" % (where, status))
        misses.append(status)
        from_redis = recent(play, where + ", second read")
        status, hit = cache_status(from_redis)
        promise(hit, "%s: the second read is not a hit: %s" % (where, status))
        promise(from_postgres.body == before, "%s: Postgres answers other bytes than Redis did" % where)
        promise(from_redis.body == before, "%s: the refilled Redis answers other bytes" % where)
    length, ttl = play.redis("LLEN", play.messages_key), play.redis("TTL", play.messages_key)
    promise(length == play.expect_recent, "LLEN %s should be %d, is %d" % (play.messages_key, play.expect_recent, length))
    promise(ttl > TTL_AT_LEAST, "TTL %s should be over %d s, is %d" % (play.messages_key, TTL_AT_LEAST, ttl))
    return "same bytes without Redis and with it again (%s), LLEN %d, TTL %d s" % (misses[0], length, ttl)


def page_back(play):
    """From the newest page to the first message, following `before`."""
    pages, pagewise, query = 0, [], {}
    while True:
        answer = play.conversation.messages(limit=PAGE, **query)
        raws, before = data_of(answer), answer.json["before"]
        promise(0 < len(raws) <= PAGE, "page back: a page of %d messages" % len(raws))
        promise(answer.json["has_more"] is (before is not None), "page back: has_more and before disagree")
        pagewise, pages = raws + pagewise, pages + 1
        promise(len(pagewise) <= len(play.lines), "page back: more messages than were added")
        if before is None:
            break
        query = {"before": before}
    check_whole(play, pagewise, "page back")
    return "%d messages in %d pages of %d, every text verbatim" % (len(pagewise), pages, PAGE)


def page_forward(play):
    """From the first message to the newest, following `after`."""
    pages, pagewise, after, more = 0, [], 0, True
    while more:
        answer = play.conversation.messages(limit=PAGE, after=after)
        raws, after, more = data_of(answer), answer.json["after"], answer.json["has_more"]
        promise(0 < len(raws) <= PAGE, "page forward: a page of %d messages" % len(raws))
        pagewise, pages = pagewise + raws, pages + 1
        promise(after == len(pagewise), "page forward: after should be %d, is %s" % (len(pagewise), after))
    check_whole(play, pagewise, "page forward")
    return "%d messages in %d pages of %d, every text verbatim" % (len(pagewise), pages, PAGE)


def check_whole(play, raws, where):
    promise(len(raws) == len(play.lines), "%s: expected %d messages, got %d" % (where, len(play.lines), len(raws)))
    for seq, (raw, sent) in enumerate(zip(raws, play.lines), 1):
        check_message(raw, sent, seq, where)
        promise(raw == play.stored[seq - 1], "%s: the fields added to message %d changed" % (where, seq))


def retry_an_add(play):
    """A message with its own id may be sent again: it keeps its place and isn't stored twice."""
    own = [seq for seq, line in enumerate(play.lines, 1) if "id" in fields(line)]
    if not own:
        return "skipped, no message in the file has an id of its own"
    # The first is long out of Redis, the last is still in it.
    for seq in (own[0], own[-1]):
        raws = data_of(play.conversation.add([play.lines[seq - 1]]))
        promise(len(raws) == 1, "retry: sent 1 message, got %d back" % len(raws))
        check_message(raws[0], play.lines[seq - 1], seq, "retry")
    count = play.conversation.get()["message_count"]
    promise(count == len(play.lines), "retry: message_count should stay %d, is %d" % (len(play.lines), count))
    return "seqs %d and %d answered as before, still %d messages" % (own[0], own[-1], count)


def look_at_it(play):
    """The conversation counts its messages and leads the list."""
    seen = play.conversation.get()
    promise(seen["object"] == "conversation", "get: object is %r" % seen["object"])
    promise(seen["id"] == play.conversation.name, "get: id is %r" % seen["id"])
    promise(seen["message_count"] == len(play.lines), "get: message_count is %r" % seen["message_count"])
    listed = play.api.call("GET", "/v1/conversations", limit=5).json["data"]
    promise(listed, "list: empty")
    promise(listed[0]["id"] == play.conversation.name, "list: the newest is %r, not ours" % listed[0]["id"])
    return "message_count %d, version %s, first in the list" % (seen["message_count"], seen["version"])


def delete_it(play):
    """Deleted means deleted: no answer any more, and no messages left in Redis."""
    if play.keep:
        return "skipped, --keep: %s" % play.conversation.name
    answer = play.conversation.delete()
    expected = {"id": play.conversation.name, "object": "conversation.deleted", "deleted": True}
    promise(answer == expected, "delete: answered %r" % (answer,))
    play.conversation.is_gone()
    if not play.redis:
        return "conversation and messages answer 404"
    promise(play.redis("EXISTS", play.messages_key) == 0, "delete: %s is still in Redis" % play.messages_key)
    return "conversation and messages answer 404, Redis has no messages left"


PHASES = (
    ("add", add_all),
    ("recent", read_recent),
    ("lose the cache", lose_the_cache),
    ("page back", page_back),
    ("page forward", page_forward),
    ("retry", retry_an_add),
    ("get and list", look_at_it),
    ("delete", delete_it),
)


# --- Settings and main -------------------------------------------------------------


def setting(name):
    """From the environment, else from the env file that `make run` works with."""
    if os.environ.get(name):
        return os.environ[name]
    folders = [os.environ["LOCAL_DIR"]] if os.environ.get("LOCAL_DIR") else [".local", HERE.parent / ".local"]
    for folder in folders:
        try:
            text = (Path(folder) / "env").read_text(encoding="utf-8")
        except OSError:
            continue
        for line in text.splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and key.split()[-1:] == [name]:  # the last word: `export KEY=` is fine, too
                return value.strip().strip("\"'")
    return None


class Play:
    """What the phases share."""

    def __init__(self, options):
        # Split at newlines only: splitlines() would also cut at U+2028, inside a string.
        self.lines = [line for line in options.file.read_bytes().split(b"\n") if line.strip()]
        self.stored = []  # the messages as the store first answered them
        self.api = Api(options.url)
        self.conversation = Conversation(self.api, options.conversation)
        self.batch, self.keep = options.batch, options.keep
        self.expect_recent = min(RECENT, len(self.lines))
        self.redis, self.no_redis = connect_redis(setting("REDIS_URL"))
        # The braces are part of the key: both keys of a conversation share a hash slot.
        self.hash_key = "conversation:{%s/%s}" % (options.owner, options.conversation)
        self.messages_key = self.hash_key + ":messages"


def options_from(arguments):
    parser = argparse.ArgumentParser(description="Play a conversation against a running API and check its promises.")
    parser.add_argument("--url", default=setting("API_URL") or "http://127.0.0.1:9000", help="default: API_URL, else http://127.0.0.1:9000")
    parser.add_argument("--conversation", default="launch-" + secrets.token_hex(4), metavar="ID", help="default: launch-<random>")
    parser.add_argument("--file", type=Path, default=HERE / "conversation.ndjson", help="one message a line")
    parser.add_argument("--batch", type=int, default=20, metavar="N", help="most messages per request (default: %(default)s)")
    parser.add_argument("--owner", default="local", help="owner in the Redis keys (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="do not delete the conversation at the end")
    options = parser.parse_args(arguments)
    if options.batch < 1:
        parser.error("--batch must be at least 1")
    return options


def main(arguments=None):
    options = options_from(arguments)
    try:
        play = Play(options)
        print("%s/v1/conversations/%s" % (options.url.rstrip("/"), options.conversation))
        promise(play.lines, "no messages in %s" % options.file)
        # Start from nothing: seqs count from 1 only in a new conversation.
        play.api.call("GET", play.conversation.path, expect=(404,))
        began = time.monotonic()
        for name, phase in PHASES:
            start = time.monotonic()
            result = phase(play)
            print("%-15s %6d ms  %s" % (name, 1000 * (time.monotonic() - start), result), flush=True)
        print("all promises kept in %.1f s" % (time.monotonic() - began))
        return 0
    except Broken as broken:
        print("BROKEN: %s" % broken, file=sys.stderr)
    except OSError as problem:  # the file, or Redis in the middle of the run
        print("FAILED: %s" % problem, file=sys.stderr)
    except (KeyError, TypeError, AttributeError) as problem:
        print("BROKEN: the answer lacks a field or has another shape: %r" % problem, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
