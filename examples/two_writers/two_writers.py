"""Eight writers count in one conversation: each reads, and adds the next number if nobody has added one meanwhile.

    python3 examples/two_writers/two_writers.py     # beside a running `make run`; Python 3.8 or newer, nothing else
"""

import json
import os
import threading
import uuid
from urllib.error import HTTPError
from urllib.request import Request, urlopen

API_URL = os.environ.get("API_URL", "http://127.0.0.1:9000")
WRITERS, EACH = 8, 25


# loop
def call(method, path, body=None, headers={}):
    """Sends a request; its status, its ETag, and its JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(API_URL + path, data, {"content-type": "application/json", **headers}, method=method)
    try:
        response = urlopen(request)
    except HTTPError as error:
        response = error
    with response:
        return response.status, response.headers["etag"], json.load(response)


def reply(conversation, respond):
    """Adds what `respond` makes of the history, only if nobody has changed it since it was read."""
    path = f"/v1/conversations/{conversation}/messages"
    seen = 0
    while True:
        status, etag, page = call("GET", f"{path}?min_version={seen}")
        if status not in (200, 404):
            raise RuntimeError(page["error"]["message"])
        history = page["data"] if status == 200 else []
        condition = {"if-match": etag} if status == 200 else {"if-none-match": "*"}
        # The key is this attempt's: sent again after a lost answer, it is stored once.
        condition["idempotency-key"] = str(uuid.uuid4())
        status, _, added = call("POST", path, respond(history), condition)
        if status == 200:
            return added["data"][0]
        if status != 412:
            raise RuntimeError(added["error"]["message"])
        # Somebody else was first: read what they added, and nothing older.
        seen = added["error"]["version"]
# end


def main():
    conversation = f"count-{uuid.uuid4().hex}"

    def count(history):
        last = int(history[-1]["content"]) if history else 0
        return {"role": "user", "content": str(last + 1)}

    def writer():
        for _ in range(EACH):
            reply(conversation, count)

    writers = [threading.Thread(target=writer) for _ in range(WRITERS)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    seen = []
    while True:
        _, _, page = call("GET", f"/v1/conversations/{conversation}/messages?after={len(seen)}")
        seen += [int(message["content"]) for message in page["data"]]
        if not page["has_more"]:
            break
    assert seen == list(range(1, WRITERS * EACH + 1)), seen
    print(f"{WRITERS} writers in Python counted to {seen[-1]}: all as expected")


if __name__ == "__main__":
    main()
