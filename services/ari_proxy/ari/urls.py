"""A command's URL: checked, split and completed.

Bus clients are not trusted with more than ARI: a URL has to be a path below ARI's root, without
tricks that would make a server or a proxy on the way read another one.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from . import decoding
from .errors import IllegalUrlError

#: Asterisk takes about 4 KB of request line (http.c: MAX_HTTP_LINE_LENGTH is 4096).
MAX_URL_LENGTH: Final = 4_000
#: RFC 3986 §3.3 and §3.4, and those that clients leave unescaped; never white space or controls.
_ALLOWED = re.compile(r"/[!-\"$-;=@-\[\]^_`a-z{|}~]*(\?[!-\"$-;=?-\[\]^_`a-z{|}~]*)?")
#: Parameters whose values name objects.
_NAMES: Final = frozenset(
    {
        "bridgeId",
        "caller",
        "channel",
        "channelId",
        "destinationRecordingName",
        "media",
        "name",
        "originator",
        "otherChannelId",
        "playbackId",
        "snoopId",
        "source",
    }
)


class AriUrl(NamedTuple):
    """A relative ARI URL in its parts, as the client wrote them."""

    path: str
    query: str

    @property
    def text(self) -> str:
        """The URL as it goes onto the request line, below ARI's root."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def segments(self) -> list[str]:
        """The path's segments as Asterisk reads them."""
        return decoding.segments(self.path)

    def values(self, name: str) -> list[str]:
        """Return all values of a query parameter as Asterisk reads them; the last one counts."""
        return [value for given, value in decoding.parameters(self.query) if given == name]

    def parameter(self, name: str) -> str:
        """Return the value of a query parameter that counts, or ''."""
        return next(reversed(self.values(name)), "")

    def with_parameter(self, name: str, value: str) -> "AriUrl":
        """Return the URL with one more query parameter."""
        added = f"{name}={quote(value, safe='')}"
        return AriUrl(path=self.path, query=f"{self.query}&{added}" if self.query else added)


def parse(url: str) -> AriUrl:
    """Return the parts of a command's URL.

    Raises:
        IllegalUrlError: it is no relative path of ARI, or would lead elsewhere.
    """
    # seed: it puts the URL behind `stasis_url` as it is; that of its .NET users ends with a slash.
    rooted = url if url.startswith("/") else f"/{url}"
    reason = _objection(url, rooted)
    if reason:
        raise IllegalUrlError(reason)
    path, _, query = rooted.partition("?")
    return AriUrl(path=path, query=query)


def _objection(url: str, rooted: str) -> str:
    if len(rooted) > MAX_URL_LENGTH:
        return f"is longer than the {MAX_URL_LENGTH} characters that Asterisk takes"
    if not _is_relative(url):
        return "must be a path like /channels: it is relative to ARI's root"
    if not _ALLOWED.fullmatch(rooted):
        return "has a character that must be percent-encoded (RFC 3986)"
    if decoding.AMBIGUOUS.search(rooted):
        return "has a %0x that versions of Asterisk read differently; a percent sign is %25"
    path, _, query = rooted.partition("?")
    if _leaves_root(path):
        return "leaves ARI's root"
    return _objection_to_names(path, query)


def _is_relative(url: str) -> bool:
    """Return whether it is a path, or one without its first slash (RFC 3986 §4.2).

    Without that slash a colon may not stand in the first segment: what is before it is a scheme.
    """
    first = re.split("[/?]", url, maxsplit=1)[0]
    return bool(first) and ":" not in first if not url.startswith("/") else True


def _leaves_root(path: str) -> bool:
    if "." not in path and "%" not in path:
        return path.startswith("//")
    parts = (part for raw in path.split("/") for part in decoding.decode(raw).split("/"))
    return path.startswith("//") or any(part in {".", ".."} for part in parts)


def _objection_to_names(path: str, query: str) -> str:
    parameters = decoding.parameters(query)
    if any(name == "api_key" for name, _ in parameters):
        return "must not have an api_key: authentication is the proxy's"
    named = [value for name, value in parameters if name in _NAMES]
    if "%" in path:
        named += decoding.segments(path)
    if not all(map(decoding.is_text, named)):
        # An object of such a name keeps Asterisk from listing any other one (500).
        return "names something in what is no UTF-8"
    return ""
