"""A front that loses requests, loses answers, delays requests and sends them twice, and turns that survive it."""

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from conversation_store import AsyncConversationStore, ConversationStore

FAULTS = {"lost request": 0.02, "lost answer": 0.02, "delayed": 0.02, "doubled": 0.02, "doubled late": 0.01}
TURNS = int(os.environ.get("TURNS", "200"))


class Front(ThreadingHTTPServer):
    """Forwards requests to a server, with faults that a seed decides."""

    daemon_threads = True

    def __init__(self, target: str, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.http = httpx.Client(base_url=target, timeout=30, limits=httpx.Limits(max_keepalive_connections=None))
        self.random = random.Random(seed)
        self.seen: Counter[str] = Counter()

    def draw(self) -> str:
        fault = self.random.choices([*FAULTS, "none"], [*FAULTS.values(), 1 - sum(FAULTS.values())])[0]
        self.seen[fault] += 1
        return fault

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        command, path = self.command, self.path
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        fault = self.server.draw()
        if fault == "lost request":
            self.close_connection = True
            return
        if fault == "delayed":
            time.sleep(0.05)

        def send() -> httpx.Response:
            return self.server.http.request(command, path, headers=headers, content=body)

        answer = send()
        if fault == "doubled":
            send()
        if fault == "doubled late":
            late = threading.Timer(0.5, send)
            late.daemon = True
            late.start()
        if fault == "lost answer":
            self.close_connection = True
            return
        self.send_response_only(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "content-encoding", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if answer.status_code != 304:
            self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_DELETE = _forward

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def front(target: str, seed: int) -> Iterator[Front]:
    """Runs a front; by the end of many requests every kind of fault must have come."""
    server = Front(target, seed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
        assert set(server.seen) >= set(FAULTS) or sum(server.seen.values()) < 800, server.seen
    finally:
        server.shutdown()
        server.server_close()


def lasting(url: str, owner: str) -> ConversationStore:
    """A client that is not discouraged."""
    return ConversationStore(url, owner=owner, retries=10)


def lasting_async(url: str, owner: str) -> AsyncConversationStore:
    """The same for asyncio."""
    return AsyncConversationStore(url, owner=owner, retries=10)


async def race(turn: Callable[[int], Awaitable[int | None]], *conflicts: type[Exception]) -> Counter[str]:
    """Two workers take turns until `turn(worker)` gives None, and who is refused tries again. Counts outcomes."""
    outcomes: Counter[str] = Counter()

    async def work(worker: int) -> None:
        while True:
            try:
                if await turn(worker) is None:
                    return
                outcomes[f"done by {worker}"] += 1
            except conflicts as error:
                outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.05)

    await asyncio.gather(work(0), work(1))
    return outcomes
