"""Who the caller is: a token, something that gives tokens, or credentials of AWS."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeAlias

import httpx

TokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]
Credentials: TypeAlias = "str | TokenProvider | httpx.Auth"


class TokenAuth(httpx.Auth):
    """Sends a bearer token.

    A provider is called for each attempt: let it keep a token for as long as that is valid.
    """

    def __init__(self, token: str | TokenProvider) -> None:
        """Takes a token, or a function that returns one; an async function needs the async client."""
        self._token = token

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the token."""
        token = self._token if isinstance(self._token, str) else self._token()
        if not isinstance(token, str):
            if inspect.iscoroutine(token):
                token.close()
            raise TypeError("An async token provider needs AsyncConversationStore.")
        request.headers["authorization"] = f"Bearer {token}"
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Adds the token."""
        token = self._token if isinstance(self._token, str) else self._token()
        request.headers["authorization"] = f"Bearer {token if isinstance(token, str) else await token}"
        yield request


class AwsAuth(httpx.Auth):
    """Signs requests with AWS's Signature Version 4, for an API Gateway that authorises by IAM.

    Needs the extra `conversation-store[aws]`.
    """

    def __init__(self, region: str | None = None, *, service: str = "execute-api", session: Any = None) -> None:
        """Finds credentials and region as AWS's SDKs do, in `session` (botocore's) or in a new one."""
        from botocore.session import Session

        self._session = session or Session()
        self._region = region or self._session.get_config_variable("region")
        self._service = service
        if not self._region:
            raise ValueError("AwsAuth needs a region: give it one, or set AWS_REGION or AWS_DEFAULT_REGION.")

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the signature. Credentials that expire are renewed by botocore."""
        request.read()
        self._sign(request)
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Adds the signature, in a thread: botocore blocks where it asks for credentials."""
        await request.aread()
        await asyncio.to_thread(self._sign, request)
        yield request

    def _sign(self, request: httpx.Request) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        credentials = self._session.get_credentials()
        if credentials is None:
            raise ValueError("AwsAuth finds no AWS credentials.")
        # Only headers that nobody on the way changes are signed.
        names = {"content-type", "idempotency-key", "if-match", "if-none-match", "x-owner-id"}
        signed = {name: value for name, value in request.headers.items() if name in names}
        unsigned = AWSRequest(method=request.method, url=str(request.url), data=request.content, headers=signed)
        SigV4Auth(credentials.get_frozen_credentials(), self._service, self._region).add_auth(unsigned)
        request.headers.update(dict(unsigned.headers.items()))


def auth_of(credentials: Credentials | None) -> httpx.Auth | None:
    """The httpx.Auth for what a caller gave."""
    return credentials if credentials is None or isinstance(credentials, httpx.Auth) else TokenAuth(credentials)
