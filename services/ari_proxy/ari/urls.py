"""A command's URL: checked, split and completed.

Bus clients are not trusted with more than ARI: a URL has to be a path below ARI's root, without
tricks that would make a server or a proxy on the way read another one.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qs, quote, unquote

from .errors import IllegalUrlError

#: Asterisk takes about 4 KB of request line (http.c: MAX_HTTP_LINE_LENGTH is 4096).
MAX_URL_LENGTH: Final = 4_000
#: RFC 3986 §3.3 and §3.4, and those that clients leave unescaped; never white space or controls.
_ALLOWED = re.compile(r"/[!-\"$-;=@-\[\]^_`a-z{|}~]*(\?[!-\"$-;=?-\[\]^_`a-z{|}~]*)?")


class AriUrl(NamedTuple):
    """A relative ARI URL in its parts, as the client wrote them."""

    path: str
    query: str

    @property
    def text(self) -> str:
        """The URL as it goes onto the request line, below ARI's root."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def last_segment(self) -> str:
        """The path's last segment, percent-decoded."""
        return unquote(self.path.rpartition("/")[2])

    def parameter(self, name: str) -> str:
        """Return the last value of a query parameter, or ''."""
        if name not in self.query:
            return ""
        return parse_qs(self.query).get(name, [""])[-1]

    def with_parameter(self, name: str, value: str) -> "AriUrl":
        """Return the URL with one more query parameter."""
        added = f"{name}={quote(value, safe='')}"
        return AriUrl(path=self.path, query=f"{self.query}&{added}" if self.query else added)


def parse(url: str) -> AriUrl:
    """Return the parts of a command's URL.

    Raises:
        IllegalUrlError: it is no relative path of ARI, or would lead elsewhere.
    """
    reason = _objection(url)
    if reason:
        raise IllegalUrlError(reason)
    path, _, query = url.partition("?")
    return AriUrl(path=path, query=query)


def _objection(url: str) -> str:
    if len(url) > MAX_URL_LENGTH:
        return f"is longer than the {MAX_URL_LENGTH} characters that Asterisk takes"
    if not url.startswith("/"):
        return "must begin with a slash, like /channels: it is relative to ARI's root"
    if not _ALLOWED.fullmatch(url):
        return "has a character that must be percent-encoded (RFC 3986)"
    path, _, query = url.partition("?")
    if _leaves_root(path):
        return "leaves ARI's root"
    if "api_key=" in query:
        return "must not have an api_key: authentication is the proxy's"
    return ""


def _leaves_root(path: str) -> bool:
    if "." not in path and "%" not in path:
        return path.startswith("//")
    return path.startswith("//") or any(part in {".", ".."} for part in unquote(path).split("/"))
