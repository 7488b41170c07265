"""Explanations of why a server's certificate was refused, each with a remedy. Sans-I/O."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_BEGINNING: Final = "the server's certificate "
#: OpenSSL's codes (x509_vfy.h) → cause and remedy; {group} is the settings group, ari or bus.
_CAUSES: Final[Mapping[int, str]] = {
    9: "is not yet valid; compare the clocks of both machines",
    10: "has expired; renew it",
    18: "is self-signed; put it into {group}.ca_file",
    19: "was issued by an unknown authority; put its certificate into {group}.ca_file",
    20: "was issued by an unknown authority; put its certificate into {group}.ca_file",
    21: "was issued by an unknown authority; put its certificate into {group}.ca_file",
    62: "does not name the host{instead}",
    64: "does not name the host's address{instead}",
}
#: OpenSSL's codes for violations of RFC 5280; Python checks for them since 3.13.
_STRICT: Final = range(79, 95)
_IS_MALFORMED: Final = (
    "breaks a rule of RFC 5280 ({rule}), which Python enforces since 3.13; reissue it, or its "
    "authority's"
)
_ABOUT_NAMES: Final = frozenset({62, 64})
_NAMES_NOT_KNOWN: Final = (
    "; set {group}.server_name to a name that it contains (subjectAltName), or issue one that "
    "names the host"
)
_HAS_OTHERS: Final = (
    " but {names}; set {group}.server_name to one of them, or issue one that names it"
)
_HAS_NONE: Final = (
    ": it has no subjectAltName, so it names nothing; reissue it with the host in its "
    "subjectAltName"
)
#: Names that a message lists.
_SOME: Final = 5


def explained(error: BaseException, group: str, names: Sequence[str] | None = None) -> str:
    """Explain a failed connection by the server's certificate; '' if it was not the cause.

    Args:
        error: the exception of a client library.
        group: the settings group that holds the remedy: `ari` or `bus`.
        names: the certificate's own (subjectAltName), or None if they are not known.
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
    """Return OpenSSL's verification error behind `error`, if it can be explained."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = getattr(cause, "verify_code", 0)  # Not set by a library that makes its own.
            if code in _CAUSES or code in _STRICT:
                return cause
    return None


def is_explained(reason: str) -> bool:
    """Return whether a reason contains an explanation by `explained`, and so a remedy."""
    return _BEGINNING in reason


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes; aiohttp keeps the TLS error in an attribute."""
    current: BaseException | None = error
    while current is not None:
        inner = getattr(current, "certificate_error", None)
        if isinstance(inner, BaseException):
            yield inner
        yield current
        current = current.__cause__
