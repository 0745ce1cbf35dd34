"""Who may talk to the server: the host that was asked for, the token, and whose page it is.

A page of another site can make a browser send requests here. Three things keep it out. Its name for
this machine is not ours (DNS rebinding: `Host`). Its requests say where they come from (`Origin`).
Beyond loopback it does not know the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

from bunraku.errors import UserInputError
from bunraku.serving.limits import LEAST_TOKEN_CHARACTERS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/healthz"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        b" connect-src 'self' ws: wss:; worker-src 'self'; media-src 'self' blob:;"
        b" frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"permissions-policy", b"camera=(self), microphone=(self), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True)
class Refusal:
    """status: of HTTP. Nothing in `text` tells a stranger more than that he may not."""

    status: int
    text: str


@dataclass(frozen=True)
class AccessRules:
    """port: that the server listens on. token: None where none is demanded. names: hosts besides
    loopback and IP addresses under which browsers may reach this machine."""

    port: int
    token: str | None = None
    loopback_only: bool = True
    names: frozenset[str] = frozenset()

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this request or WebSocket is not let in; None: it is."""
        headers = first_headers(scope["headers"])
        host = headers.get("host", "")
        if not self.knows_host(host):
            return Refusal(421, "this server is not called so; see --allow-host")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and headers.get("origin", "") not in {f"http://{host}", f"https://{host}"}:
            return Refusal(403, "this comes from another page")
        if self.token is not None and scope["path"] not in OPEN_PATHS:
            given = self._given_token(scope, headers)
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return Refusal(401, "a token is needed: open the address that the server printed")
        return None

    def knows_host(self, host: str) -> bool:
        """Names can be made to mean this machine by anyone who owns one; addresses cannot."""
        name, port = split_host(host)
        if port != self.port:
            return False
        if name in LOOPBACK_NAMES or name in self.names:
            return True
        return not self.loopback_only and is_address(name)

    @property
    def cookie(self) -> str:
        """Browsers tell cookies apart by host, not by port."""
        return f"bunraku_{self.port}"

    def _given_token(self, scope: Scope, headers: dict[str, str]) -> str:
        bearer = headers.get("authorization", "")
        if bearer.startswith("Bearer "):
            return bearer.removeprefix("Bearer ")
        in_address = token_in_address(scope)
        return in_address if in_address is not None else self._token_of_cookie(headers)

    def _token_of_cookie(self, headers: dict[str, str]) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""


class AccessControl:
    """Stands before `app`; puts the security headers on all it answers. A page that is opened with
    the token in its address gets it as a cookie and is sent to the bare address, so that it stays
    in no history and no screenshot."""

    def __init__(self, app: App, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._rules.refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.text})
            return
        if refusal is not None:
            await answer(send, refusal.status, refusal.text.encode())
        elif self._rules.token is not None and token_in_address(scope) is not None:
            await answer(send, 303, b"", [*self._cookie(scope), (b"location", b"/")])
        else:
            await self._app(scope, receive, with_headers(send))

    def _cookie(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        token = token_in_address(scope) or ""
        text = f"{self._rules.cookie}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        return [(b"set-cookie", text.encode("latin-1"))]


async def answer(
    send: Send, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_headers(send: Send) -> Send:
    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return sends


def first_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """By lower-case name. Of a header that comes twice, none: which of them counts is how
    checks are slipped past."""
    found: dict[str, str] = {}
    twice = set()
    for name, value in headers:
        key = name.decode("latin-1").lower()
        twice |= {key} if key in found else set()
        found[key] = value.decode("latin-1")
    return {key: value for key, value in found.items() if key not in twice}


def token_in_address(scope: Scope) -> str | None:
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
    return values[0] if values else None


def split_host(host: str) -> tuple[str, int]:
    """ "[::1]:80" to ("::1", 80); a port that is left out is 80, what is no port is -1."""
    name, port = host, "80"
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or "80"
    elif ":" in host:
        name, _, port = host.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1
    return name.lower(), number


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return host in LOOPBACK_NAMES or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def token_for(host: str, wanted: str | None) -> str | None:
    """The token to demand: the wanted one, a new one beyond loopback, or none. Raises
    UserInputError for one that is easily guessed or cannot stand in an address."""
    if wanted is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if len(wanted) < LEAST_TOKEN_CHARACTERS or quote(wanted, safe="") != wanted:
        raise UserInputError(
            f"the token has {len(wanted)} characters: give at least {LEAST_TOKEN_CHARACTERS}"
            " letters, digits, '-' or '_', or leave --token out and one is made"
        )
    return wanted
