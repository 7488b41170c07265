"""Command URLs: checked, split and completed. Sans-I/O.

Bus clients are trusted with ARI and nothing else: a URL has to be a path below ARI's root that
Asterisk and any HTTP proxy in between read alike.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from . import decoding
from .errors import IllegalUrlError

#: Asterisk's limit of a request line is about 4 KB (http.c: MAX_HTTP_LINE_LENGTH is 4096).
MAX_URL_LENGTH: Final = 4_000
#: Characters of RFC 3986 §3.3 and §3.4, and those that clients leave unescaped; no white space and
#: no control characters.
_ALLOWED = re.compile(r"/[!-\"$-;=@-\[\]^_`a-z{|}~]*(\?[!-\"$-;=?-\[\]^_`a-z{|}~]*)?")
#: Parameters with names of objects.
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
    """The parts of a relative ARI URL, as the client wrote them."""

    path: str
    query: str

    @property
    def text(self) -> str:
        """The URL for the request line, relative to ARI's root."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's segments as Asterisk decodes them."""
        return decoding.segments(self.path)

    def values(self, name: str) -> list[str]:
        """Return all values of a query parameter, decoded; Asterisk takes the last one."""
        return [value for given, value in decoding.parameters(self.query) if given == name]

    def parameter(self, name: str) -> str:
        """Return the value of a query parameter that Asterisk takes, or ''."""
        return next(reversed(self.values(name)), "")

    def with_parameter(self, name: str, value: str) -> "AriUrl":
        """Return the URL with one more query parameter."""
        added = f"{name}={quote(value, safe='')}"
        return AriUrl(path=self.path, query=f"{self.query}&{added}" if self.query else added)


def parse(url: str) -> AriUrl:
    """Return the parts of a command's URL.

    Raises:
        IllegalUrlError: the URL is not a relative ARI path, or leads out of ARI's root.
    """
    # seed: it appends the URL to `stasis_url` unchanged; that of its .NET users ends with a slash.
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
    """Return whether a URL is a path, with or without its first slash (RFC 3986 §4.2).

    Without that slash the first segment must not have a colon, which would end a scheme.
    """
    if url.startswith("/"):
        return True
    first = re.split("[/?]", url, maxsplit=1)[0]
    return bool(first) and ":" not in first


def _leaves_root(path: str) -> bool:
    if "/." not in path and "%" not in path:
        return path.startswith("//")
    parts = (part for raw in path.split("/") for part in decoding.decode(raw).split("/"))
    return path.startswith("//") or any(part in {".", ".."} for part in parts)


def _objection_to_names(path: str, query: str) -> str:
    if not query and "%" not in path:
        return ""
    parameters = decoding.parameters(query)
    if any(name == "api_key" for name, _ in parameters):
        return "must not have an api_key: authentication is the proxy's"
    named = [value for name, value in parameters if name in _NAMES]
    if "%" in path:
        named += decoding.segments(path)
    if not all(map(decoding.is_text, named)):
        # With one object of such a name Asterisk can list no others: it answers 500.
        return "names an object in bytes that are not UTF-8"
    return ""
