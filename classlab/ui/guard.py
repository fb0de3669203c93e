"""Who may ask the page for anything: this machine's own browser that has seen the printed address, and nobody else.

Every request passes three doors, in this order. Host must be a loopback name: a foreign site whose name was pointed at
this machine is turned away. A request that another site's page makes is turned away, and what changes something must
come from our own page. Then the token of the printed address, or the cookie that it became, must be there. What is
answered carries a policy that lets no page of ours ask or embed anything else.
"""

import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
BODY_BYTES = 12_000_000  # a picture from a telephone; nothing else that is sent here is large
QUERY_BYTES = 8_000
READS = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def new_token() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


class Guard:
    """The doors around an application. token: what the printed address holds. port: which the cookie is named by."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self.token = token
        self.cookie = f"classlab-{port}"
        # Not the token itself: who sees the cookie cannot make the address of it.
        self.pass_ = hashlib.sha256(f"cookie of {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        response = self._answer(Request(scope))
        if response is not None:
            await response(scope, receive, _with_headers(send))
            return
        await self.app(scope, _bounded(receive), _with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request that does not come through, None for one that does."""
        headers = request.headers
        host = headers.get("host", "")
        if not LOOPBACK.fullmatch(host):
            return _refusal(403, "this page answers under the names of this machine alone, as 127.0.0.1 or localhost")
        problem = foreign(request.method, headers, host)
        if problem:
            return _refusal(403, problem)
        query = request.scope["query_string"]
        if len(query) > QUERY_BYTES:
            return _refusal(414, f"an address has at most {QUERY_BYTES:,} characters after its question mark")
        given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        if "token" in given and _equal(given["token"][0], self.token):
            return self._let_in(request, given) if request.method in READS else None
        if not _equal(request.cookies.get(self.cookie, ""), self.pass_):
            return _refusal(401, "open the address that `classlab ui` printed: it holds the token that opens this page")
        if _length(headers) > BODY_BYTES:
            return _refusal(413, f"at most {BODY_BYTES:,} bytes are taken")
        return None

    def _let_in(self, request: Request, given: dict[str, list[str]]) -> Response:
        """Turn the token into a cookie that no script reads and no other site sends, out of the address bar."""
        rest = urlencode({name: values for name, values in given.items() if name != "token"}, doseq=True)
        # The path alone, with one slash: two would name another machine.
        where = "/" + request.url.path.lstrip("/\\") + (f"?{rest}" if rest else "")
        response = RedirectResponse(where, status_code=303)
        response.set_cookie(self.cookie, self.pass_, path="/", httponly=True, samesite="strict")
        return response


def foreign(method: str, headers: Headers, host: str) -> str:
    """Say why a request is another site's, "" where it is not.

    A browser sends Origin with whatever may change something, and Sec-Fetch-Site with everything. A link that is
    followed here changes nothing and is let through: without the cookie, which is not sent then, it opens nothing.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return "this page answers no other site's requests (Origin)"
    followed = method in READS and headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not followed:
        return "this page answers no other site's requests (Sec-Fetch-Site)"
    return ""


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdecimal() and len(text) < 16 else 0


def _refusal(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"classlab: {sentence}\n", status_code=status)


class TooLarge(Exception):
    """A body without a length was longer than is taken."""


def _bounded(receive: Receive) -> Receive:
    """Return `receive` that ends a body which grows too long, whatever length was announced."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > BODY_BYTES:
            raise TooLarge
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent
