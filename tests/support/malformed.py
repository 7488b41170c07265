"""Messages that every decoder rejects."""

from typing import Final

#: Deeper than any decoder goes, in a field that none of our messages has.
DEEPLY_NESTED: Final = b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
