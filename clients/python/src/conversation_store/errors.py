"""What can go wrong, as exceptions that say what to do about it."""

from __future__ import annotations

from typing import Any

import httpx


class StoreError(Exception):
    """Any error of this package."""


class IncompatibleServer(StoreError):
    """The server speaks another version of the contract than this client."""


class IncompatibleServerWarning(UserWarning):
    """The server is older than this client, or tells no version: some operations may not be there."""


class NotModified(StoreError):
    """Nothing has changed since the version or revision that a read gave as `if_none_match`."""


class ApiError(StoreError):
    """An error that the API answered, or that took its place.

    `code` is for programs and `param` is the path to the value, as in the contract. `status` is None if there was no
    answer.
    """

    def __init__(self, message: str, status: int | None = None, **problem: Any) -> None:
        """Takes the fields of the contract's `Problem`, and `request_id`, which the server's log has too."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.code: str | None = problem.get("code")
        self.param: str | None = problem.get("param")
        self.request_id: str | None = problem.get("request_id")

    def __str__(self) -> str:
        """The message, with what identifies the error."""
        known = {"status": self.status, "code": self.code, "param": self.param, "request": self.request_id}
        told = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
        return f"{self.message} ({told})" if told else self.message


class BadRequest(ApiError):
    """The request breaks a rule of the contract: 400, 405, 415."""


class Unauthenticated(ApiError):
    """The token or the owner is missing or not accepted: 401, 403."""


class NotFound(ApiError):
    """There is no such conversation, item or record of this owner: 404."""


class Conflict(ApiError):
    """What is stored contradicts the request, like the id of a deleted conversation: 409."""


class VersionMismatch(ApiError):
    """The conversation is not at the version of `if_match`: read it and decide anew.

    `version` is the present one, 0 if the conversation is not there.
    """

    def __init__(self, message: str, status: int | None = None, **problem: Any) -> None:
        """Takes `version` too."""
        super().__init__(message, status, **problem)
        self.version: int = problem.get("version") or 0


class RevisionMismatch(ApiError):
    """A record is not at the revision of `if_match`, or is there: nothing of the batch was stored.

    `revision` is the present one, 0 if the record is not there; `param` says which change of a batch it is.
    """

    def __init__(self, message: str, status: int | None = None, **problem: Any) -> None:
        """Takes `revision` too."""
        super().__init__(message, status, **problem)
        self.revision: int = problem.get("revision") or 0


class TooLarge(ApiError):
    """A message, a record, the request or a fork is over its limit: 413."""


class Unavailable(ApiError):
    """The store could not be reached, also not by retries: 429, 502, 503, 504, or no answer.

    A write may or may not have been stored.
    """


class ServerError(ApiError):
    """A defect of the server, whose log has the reason under `request_id`: 500."""


class InvalidResponse(ApiError):
    """The response is not one of the API, such as the page of a proxy: check `base_url`.

    A write may or may not have been stored.
    """


def is_no_conversation(error: ApiError) -> bool:
    """Whether the API says that there is no such conversation; the 404 of a gateway says nothing about that."""
    return error.code == "conversation_not_found"


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Unauthenticated,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(response: httpx.Response) -> StoreError:
    """The exception for an answer that is no success."""
    if response.status_code == 304:
        return NotModified(f"Not modified since {response.headers.get('etag')}.")
    message, problem = _problem_of(response)
    message = message or f"HTTP {response.status_code} {response.reason_phrase}".strip()
    kind = _BY_STATUS.get(response.status_code, ServerError if response.status_code >= 500 else BadRequest)
    if response.status_code == 412:
        kind = RevisionMismatch if problem.get("code") == "revision_mismatch" else VersionMismatch
    return kind(message, response.status_code, request_id=response.headers.get("x-request-id"), **problem)


def _problem_of(response: httpx.Response) -> tuple[str | None, dict[str, Any]]:
    """The message, and what else is known of the contract's `Problem`; of a gateway's own error only the message."""
    try:
        body = response.json()
    except ValueError:
        return None, {}
    if not isinstance(body, dict):
        return None, {}
    problem = body.get("error")
    if not isinstance(problem, dict):
        # API Gateway and load balancers say `message`, other services of AWS `Message`, and some proxies `error`.
        messages = [body.get("message"), body.get("Message"), problem]
        return next((it for it in messages if it and isinstance(it, str)), None), {}
    kinds: dict[str, type] = {"code": str, "param": str, "version": int, "revision": int}
    known = {name: problem[name] for name, kind in kinds.items() if isinstance(problem.get(name), kind)}
    message = problem.get("message")
    return message if isinstance(message, str) else None, known
