"""The exceptions of decoding JSON from outside, listed in this place only."""

from typing import Final

import msgspec

#: Not JSON, or JSON of another shape; not UTF-8; nested more deeply than the decoder goes. Caught
#: wherever a message, an answer or a file from outside is decoded.
UNDECODABLE: Final = (
    msgspec.DecodeError,  # noqa: TID251  the definition that others use
    UnicodeDecodeError,
    RecursionError,
)
