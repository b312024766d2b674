"""How often the plain service reads or adds in so many seconds: itself.py recent|add SECONDS. Prints JSON."""

import json
import sys
import time

from service import ConversationService

what, seconds = sys.argv[1], float(sys.argv[2])
service = ConversationService()
content = "the quick brown fox jumps over the lazy dog " * 12
content = content[: 512 - len('{"role":"user","content":""}')]
for _ in range(100):
    service.add_message("itself", "user", content)


def once():
    if what == "recent":
        assert len(service.get_recent_messages("itself")) == 100
    else:
        service.add_message("itself", "user", content)


began, count = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    once()
    count += 1
print(json.dumps({"per_second": count / (time.perf_counter() - began)}))
