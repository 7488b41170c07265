"""What is wrong with a server's certificate, and what to do about it. Pure."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Final

_BEGINNING: Final = "the server's certificate "
#: OpenSSL's codes (x509_vfy.h) → cause and remedy; {group} is that of the settings, ari or bus.
_CAUSES: Final[Mapping[int, str]] = {
    9: "is not yet valid; compare the clocks of both machines",
    10: "has expired; renew it",
    18: "is signed by itself; put it into {group}.ca_file",
    19: "is of an authority that is not known here; put the authority's into {group}.ca_file",
    20: "is of an authority that is not known here; put the authority's into {group}.ca_file",
    21: "is of an authority that is not known here; put the authority's into {group}.ca_file",
    62: "does not name the host; set {group}.server_name to a name that stands in it "
    "(subjectAltName), or issue one that names the host",
    64: "does not name the host's address; set {group}.server_name to a name that stands in it "
    "(subjectAltName), or issue one that names the address",
}


def explained(error: BaseException, group: str) -> str:
    """Return what a failed connection tells of the server's certificate, or '' if nothing.

    Args:
        error: as a client library raised it.
        group: of the settings with which it is mended: `ari` or `bus`.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            meaning = _CAUSES.get(getattr(cause, "verify_code", 0))
            if meaning:
                return _BEGINNING + meaning.format(group=group)
    return ""


def is_explained(reason: str) -> bool:
    """Return whether a reason has what `explained` tells, which says what to do."""
    return _BEGINNING in reason


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it; aiohttp keeps its own apart."""
    current: BaseException | None = error
    while current is not None:
        inner = getattr(current, "certificate_error", None)
        if isinstance(inner, BaseException):
            yield inner
        yield current
        current = current.__cause__
