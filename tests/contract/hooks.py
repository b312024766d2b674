"""What schemathesis is told beside the contract: rules that no schema can say, and to count the answers."""

import atexit
import json
from collections import Counter
from itertools import count

import schemathesis

# A request that fits the schema may be refused for these reasons alone.
UNSPEAKABLE = {
    "invalid_cursor",  # a cursor, or an item's id, of this list
    "missing_filter",  # one of three parameters
    "repeated_id",  # an id that stands twice in one request
    "repeated_key",  # the same of a record's key
    "record_too_large",
    "message_too_large",
    "request_too_large",
    "too_deep",
}
ACCEPTED = {200, 304, 404, 409, 412, 503}
# Headers that make a write conditional.
CONDITIONS = ("If-Match", "If-None-Match")

answers = Counter()
keys, conditions = count(), count()
# Owner, conversation and id of items that were stored.
stored = []


@schemathesis.check
def valid_requests_are_accepted(ctx, response, case):
    """What fits the schema is answered, or there is nothing to be answered, or it clashes with what is stored."""
    if not case.meta or not case.meta.generation.mode.is_positive or response.status_code in ACCEPTED:
        return
    if case.method.upper() not in case.operation.schema[case.operation.path]:
        return
    error = json.loads(response.content)["error"]
    both = error["code"] == "invalid_parameter" and {"before", "after"} <= set(case.query or {})
    # How long a conversation is, no schema says.
    beyond = error["code"] == "out_of_range" and error["param"] == "after" and case.method.upper() == "PUT"
    assert both or beyond or error["code"] in UNSPEAKABLE, f"A request that fits the schema was refused: {error['message']}"


@schemathesis.check
class EveryOperationSucceeds:
    """A run in which an operation never did what it is for says nothing of it."""

    def __init__(self):
        self.tried = set()
        self.done = set()

    def after_response(self, ctx, response, case):
        self.tried.add(case.operation.label)
        if response.status_code == 200:
            self.done.add(case.operation.label)

    def after_run(self, ctx):
        never = sorted(self.tried - self.done)
        assert not never, f"never answered 200: {', '.join(never)}"


@schemathesis.hook
def map_case(context, case):
    """Names an owner where none is, so that what follows can name the same; asks for one direction of two; and gives one
    request in five a key, since generated ones are often alike and then stand for another request. One in five is
    conditional, on one thing: what is generated is hardly ever the present version. Who asks for an
    item is told of one that there is, as long as there are any: a made-up id is hardly ever one. In a sequence of
    requests the ids come from earlier answers and stay."""
    if case.headers.get("x-owner-id") is None:
        # Whoever deletes everything does it to themselves.
        erases = case.method.upper() == "DELETE" and case.operation.path in ("/v1/owner", "/v1/conversations")
        case.headers["x-owner-id"] = "eve" if erases else "ann"
    if case.query and {"before", "after"} <= set(case.query) and case.meta.generation.mode.is_positive:
        del case.query["before"]
    if "Idempotency-Key" in case.headers and next(keys) % 5:
        del case.headers["Idempotency-Key"]
    given = [name for name in CONDITIONS if name in case.headers and case.method.upper() != "GET"]
    if given and case.meta.generation.mode.is_positive:
        for name in given if next(conditions) % 5 else given[1:]:
            del case.headers[name]
    is_free = case.meta.generation.mode.is_positive and case.meta.phase.name != "stateful"
    if stored and is_free and "item_id" in (case.path_parameters or {}):
        case.headers["x-owner-id"], case.path_parameters["conversation_id"], case.path_parameters["item_id"] = stored.pop()
    return case


@schemathesis.hook
def filter_case(context, case):
    """Leaves out what is wrong only before it is sent: in a query every value is text, so that false is the string
    "false", which metadata may well be."""
    if case.meta.generation.mode.is_positive:
        return True
    return not any(
        name.startswith("metadata[") and "][" not in name and (value is None or isinstance(value, (bool, int, float)))
        for name, value in (case.query or {}).items()
    )


@schemathesis.hook
def after_call(context, case, response):
    answers[case.operation.label, response.status_code] += 1
    # Where another method was tried, it may have been HEAD.
    is_added = case.operation.label == "POST /v1/conversations/{conversation_id}/messages" and response.status_code == 200
    if is_added and response.content:
        added = json.loads(response.content)
        stored.append((case.headers["x-owner-id"], added["id"], added["last_id"]))


@atexit.register
def tell():
    """Says how many requests were answered, and how."""
    if not answers:
        return
    print()
    for label in sorted({label for label, _ in answers}):
        counts = {status: times for (of, status), times in sorted(answers.items()) if of == label}
        print(f"{label:62}", *(f"{status}: {times:<6}" for status, times in counts.items()))
    print(f"{sum(answers.values())} requests were answered.")
