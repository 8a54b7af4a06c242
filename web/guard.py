"""What stands before every request: the right host, a token, one's own cookie, strict headers.

- Host: a page of another name that points at this machine (DNS rebinding) is refused.
- Token: wanted from everybody when the server is reached from other machines; once given it lives
  in a cookie that scripts cannot read.
- A request that changes something must carry the header `X-Nightstack`, which no page of another
  origin can send without asking first, and nobody here answers that question.
- The page may load nothing from elsewhere and run no script but its own files.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from http.cookies import SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.settings import Settings
from web.visitors import new_id

HEADER = "x-nightstack"
LARGEST_BODY = 1 << 16  # bytes of a request that is no upload
UPLOAD = ("POST", "/api/nights")
OPEN = ("/login", "/static/page.css", "/static/login.js", "/api/token")  # before the token is given
_SAFE = ("GET", "HEAD", "OPTIONS")
_ID = re.compile(r"[\w-]{32}")
_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",  # recordings of persons stay out of the cache
}


class Guard:
    """ASGI middleware; it leaves the id of the visitor in `scope["visitor"]`.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._own_names = {"localhost", settings.host.casefold(), socket.gethostname().casefold()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with the id of its visitor."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookies = SimpleCookie(headers.get("cookie", ""))
        known = self._cookie(cookies, self.cookie)
        visitor = known if _ID.fullmatch(known) else new_id()
        scope["visitor"] = visitor

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                if visitor != known:
                    answer.append("set-cookie", cookie(self.cookie, visitor))
            await send(message)

        refused = self._refusal(scope, headers, cookies)
        await (refused or self.app)(scope, receive, send_strictly)

    @property
    def cookie(self) -> str:
        """Name of the cookie with the visitor's id: servers on other ports have their own."""
        return f"nightstack-{self.settings.port}"

    @property
    def token_cookie(self) -> str:
        """Name of the cookie with the token."""
        return f"nightstack-token-{self.settings.port}"

    def right_token(self, token: str) -> bool:
        """Whether a visitor gave the right token, or none is wanted."""
        wanted = self.settings.token
        return not wanted or hmac.compare_digest(token.encode(), wanted.encode())

    def _refusal(self, scope: Scope, headers: Headers, cookies: SimpleCookie) -> ASGIApp | None:
        """Return the answer to a request that is not let in."""
        method, path = scope["method"], scope["path"]
        if not self._own_host(headers.get("host", "")):
            return _refuse(421, "This server does not go by that name; use its address.")
        if not (self.right_token(self._token(headers, cookies)) or path in OPEN):
            return _refuse(401, "A token is wanted.", location="/login" if path == "/" else "")
        if method not in _SAFE and HEADER not in headers:
            return _refuse(403, "The header X-Nightstack is missing; its value does not matter.")
        if method not in _SAFE and (method, path) != UPLOAD:
            announced = headers.get("content-length", "")
            if "transfer-encoding" in headers or (announced and not announced.isdecimal()):
                return _refuse(411, "The length of the body must be announced.")
            if int(announced or 0) > LARGEST_BODY:
                return _refuse(413, f"At most {LARGEST_BODY} bytes are read here.")
        return None

    def _own_host(self, host: str) -> bool:
        """Whether a Host header names this machine: a rebound name never is a number or our own."""
        name = re.sub(r":\d+$", "", host.casefold())
        if name in self._own_names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _token(self, headers: Headers, cookies: SimpleCookie) -> str:
        """Return the token a request carries: as a bearer, or in the cookie."""
        bearer = headers.get("authorization", "")
        if bearer.startswith("Bearer "):
            return bearer.removeprefix("Bearer ")
        return self._cookie(cookies, self.token_cookie)

    @staticmethod
    def _cookie(cookies: SimpleCookie, name: str) -> str:
        """Return a cookie, empty when there is none."""
        return cookies[name].value if name in cookies else ""


def cookie(name: str, value: str) -> str:
    """Return the header of a cookie that no script reads and no other site sends."""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict"


def _refuse(status: int, message: str, *, location: str = "") -> ASGIApp:
    """Return an answer that says why; to a person at the door, with the way to the token."""
    if location:
        return JSONResponse({"error": message}, 303, {"location": location})
    return JSONResponse({"error": message}, status)
