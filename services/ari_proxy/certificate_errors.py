"""What is wrong with a server's certificate, and what to do about it. Pure."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
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
    62: "does not name the host{instead}",
    64: "does not name the host's address{instead}",
}
#: OpenSSL's codes of what RFC 5280 does not allow; Python looks for it since 3.13.
_STRICT: Final = range(79, 95)
_IS_MALFORMED: Final = (
    "breaks a rule of RFC 5280 ({rule}), on which Python insists since 3.13; issue it anew, or its "
    "authority's"
)
_ABOUT_NAMES: Final = frozenset({62, 64})
_NAMES_NOT_KNOWN: Final = (
    "; set {group}.server_name to a name that stands in it (subjectAltName), or issue one that "
    "names the host"
)
_HAS_OTHERS: Final = (
    " but {names}; set {group}.server_name to one of them, or issue one that names it"
)
_HAS_NONE: Final = (
    ": it has no subjectAltName, and names nothing so; issue it anew with the host in its "
    "subjectAltName"
)
#: Names that are told.
_SOME: Final = 5


def explained(error: BaseException, group: str, names: Sequence[str] | None = None) -> str:
    """Return what a failed connection tells of the server's certificate, or '' if nothing.

    Args:
        error: as a client library raised it.
        group: of the settings with which it is mended: `ari` or `bus`.
        names: those that it has (subjectAltName), or None if they are not known.
    """
    fault = _fault(error)
    if fault is None:
        return ""
    meaning = _CAUSES.get(fault.verify_code, _IS_MALFORMED)
    instead = _instead(group, names)
    return _BEGINNING + meaning.format(group=group, instead=instead, rule=fault.verify_message)


def _instead(group: str, names: Sequence[str] | None) -> str:
    if names is None:
        return _NAMES_NOT_KNOWN.format(group=group)
    if not names:
        return _HAS_NONE
    more = ", …" if len(names) > _SOME else ""
    return _HAS_OTHERS.format(group=group, names=", ".join(names[:_SOME]) + more)


def is_about_names(error: BaseException) -> bool:
    """Return whether the certificate was refused for its names."""
    fault = _fault(error)
    return fault is not None and fault.verify_code in _ABOUT_NAMES


def _fault(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Return what OpenSSL says of a certificate, if it is something that we can explain."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = getattr(cause, "verify_code", 0)  # Not set by a library that makes its own.
            if code in _CAUSES or code in _STRICT:
                return cause
    return None


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
