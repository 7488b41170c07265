"""Whether a peer's handshake is Asterisk's, by its path and credentials. Sans-I/O."""

import binascii
import hmac
from base64 import b64decode
from typing import Final

#: Characters of what an unknown peer has sent that are shown.
_SHOWN: Final = 100


def are_credentials(given: str, expected: str) -> bool:
    """Return whether a peer has the right credentials, in a time that tells nothing of them.

    Args:
        given: the peer's Authorization header, or ''.
        expected: ours, as `Basic …` (RFC 7617).
    """
    scheme, _, value = given.partition(" ")
    is_basic = scheme.lower() == "basic"
    _, _, own = expected.partition(" ")
    return hmac.compare_digest(value.strip().encode(errors="replace"), own.encode()) and is_basic


def user_of(authorization: str) -> str:
    """Return the user that an Authorization header names, fit for a log, or ''."""
    value = authorization.partition(" ")[2].strip()
    try:
        user, colon, _ = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ""
    return shown(user) if colon else ""


def shown(text: str) -> str:
    """Return a peer's text as it may stand in a log: short, and without control characters."""
    return text[:_SHOWN].encode("unicode_escape").decode("ascii")
