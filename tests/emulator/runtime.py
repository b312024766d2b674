#!/usr/bin/env python3
"""A Lambda runtime that answers with what it saw of the Runtime API."""

import http.client
import json
import os

server, _, prefix = os.environ["AWS_LAMBDA_RUNTIME_API"].removeprefix("http://").partition("/")
base = (f"/{prefix}" if prefix else "") + "/2018-06-01/runtime"


def ask(method, path, body=None):
    connection = http.client.HTTPConnection(server)
    connection.request(method, base + path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def told(answer):
    """Status and what kind of error it was; the words are each emulator's own."""
    status, headers, text = answer
    said = json.loads(text)
    return [status, headers["content-type"], said.get("errorType") or said]


previous = None
while True:
    status, headers, text = ask("GET", "/invocation/next")
    event = json.loads(text)
    request = headers["lambda-runtime-aws-request-id"]
    seen = {
        "status": status,
        "headers": sorted(name for name in headers if name.startswith("lambda-runtime-") or name == "content-type"),
        "type": headers["content-type"],
        "version": request[14],
        "event": event,
        "previous": previous,
        "stranger": told(ask("POST", "/invocation/00000000-0000-0000-0000-000000000000/response", "{}")),
    }
    if event.get("answer") == "error":
        error = json.dumps({"errorMessage": "as asked", "errorType": "Asked"})
        previous = told(ask("POST", f"/invocation/{request}/error", error))
    elif event.get("answer") == "large":
        body = json.dumps("x" * (6 * 1024 * 1024 + 1024 * 1024))
        previous = told(ask("POST", f"/invocation/{request}/response", body))
    else:
        previous = told(ask("POST", f"/invocation/{request}/response", json.dumps(seen)))
