#!/usr/bin/env python3
"""A model without a brain: speaks Chat Completions and tells what it was shown.

    python3 examples/stub_model.py                # on port 9900
    OPENAI_BASE_URL=http://127.0.0.1:9900/v1 python3 examples/chat.py

For trying examples/chat.py without a key. Standard library only.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        heard = [message["content"] for message in asked["messages"] if message["role"] == "user"]
        said = f"You have said {len(heard)} things, first {heard[0]!r}, last {heard[-1]!r}."
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        body = json.dumps({"id": "stub", "object": "chat.completion", "model": asked["model"], "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9900), Model)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()
