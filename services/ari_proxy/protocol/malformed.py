"""What decoding JSON from outside raises: the one place that lists it."""

from typing import Final

import msgspec

#: Not JSON, or JSON of another shape; no UTF-8; nested more deeply than the decoder goes. Caught
#: wherever a message, an answer or a file from outside is decoded.
UNDECODABLE: Final = (
    msgspec.DecodeError,  # noqa: TID251  the place from which the others take it
    UnicodeDecodeError,
    RecursionError,
)
