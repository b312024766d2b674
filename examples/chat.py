#!/usr/bin/env python3
"""Chat with a model in the terminal; the conversation lives in the store, not here.

    python3 examples/chat.py --conversation trip          # beside a running `make run`
    python3 examples/chat.py --conversation trip          # again: it goes on where it was

Every message is in the store before anything else happens with it, so the
program may be stopped at any point. Whatever is tried again is tried with the
same id: nothing is lost and nothing is there twice.

The model is whatever speaks Chat Completions at OPENAI_BASE_URL, with
OPENAI_API_KEY; `python3 examples/stub_model.py` is one without a brain.

Standard library only, Python 3.8 or newer.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

TRIES = 5
CONTEXT = 40  # how many messages the model is shown
KNOWN_TO_THE_MODEL = ("role", "content", "name", "tool_calls", "tool_call_id")


def call(method, url, body=None, token=None):
    """Sends JSON and returns JSON. What may help when tried again is tried again."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504) or attempt == TRIES:
                raise SystemExit(f"{method} {url}: {error.code} {error.read().decode(errors='replace')}")
        except OSError as error:
            if attempt == TRIES:
                raise SystemExit(f"{method} {url}: {error}")
        time.sleep(0.2 * 2**attempt)


class Conversation:
    """One conversation of the store."""

    def __init__(self, url, name, token):
        self.url, self.token = f"{url.rstrip('/')}/v1/conversations/{name}/messages", token
        self.version = 0

    def add(self, role, content):
        """Stores a message, once, however often it takes."""
        message = {"id": f"msg_{uuid.uuid4().hex}", "role": role, "content": content}
        self.version = call("POST", self.url, message, self.token)["version"]

    def recent(self):
        """The last messages, at least as new as what was stored from here."""
        page = call("GET", f"{self.url}?limit={CONTEXT}&min_version={self.version}", token=self.token)
        return page["data"]


def reply(model, messages):
    """Asks the model what it says to all this."""
    shown = [{field: message[field] for field in KNOWN_TO_THE_MODEL if field in message} for message in messages]
    url = f"{model.url.rstrip('/')}/chat/completions"
    answer = call("POST", url, {"model": model.model, "messages": shown}, os.environ.get("OPENAI_API_KEY"))
    return answer["choices"][0]["message"]["content"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default=os.environ.get("API_URL", "http://127.0.0.1:9000"), help="where the store is")
    parser.add_argument("--token", default=os.environ.get("API_TOKEN"), help="the store's bearer token")
    parser.add_argument("--conversation", default=f"chat-{uuid.uuid4().hex[:8]}", help="which one to go on with")
    parser.add_argument("--url", default=os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1"), help="where the model is")
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
    return parser.parse_args()


def main():
    given = arguments()
    conversation = Conversation(given.store, given.conversation, given.token)
    print(f"conversation {given.conversation}; an empty line ends it", flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        conversation.add("user", line.strip())
        said = reply(given, conversation.recent())
        conversation.add("assistant", said)
        print(f"> {said}", flush=True)


if __name__ == "__main__":
    main()
