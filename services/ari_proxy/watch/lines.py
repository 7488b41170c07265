"""One line per copy, for `tail`. Pure."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from ari_proxy.tap.copies import Copy, Kind

from .descriptions import describe, is_failure

#: Who says it to whom, seen from the application.
_ARROWS: Final[dict[Kind, str]] = {
    "app_start": "⇒",
    "event": "→",
    "unheard": "✗",
    "command": "←",
    "request": "⇠",
    "response": "⇢",
    "end": "■",
    "skipped": "!",
}
#: SGR codes (ECMA-48 §8.3.117).
_COLOURS: Final[dict[Kind, int]] = {
    "app_start": 32,
    "event": 36,
    "command": 33,
    "request": 2,
    "response": 35,
    "end": 2,
}
_RED: Final = 31


def line(copy: Copy, *, coloured: bool) -> str:
    """Return the time (UTC), the dialog or server, and what was said."""
    time = datetime.fromtimestamp(copy.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    owner = copy.dialog_id or copy.server_id
    text = f"{_ARROWS[copy.kind]} {describe(copy)}"
    if not coloured:
        return f"{time} {owner} {text}"
    colour = _RED if is_failure(copy) else _COLOURS[copy.kind]
    return f"\x1b[2m{time}\x1b[0m {owner} \x1b[{colour}m{text}\x1b[0m"


def as_json(copy: Copy) -> str:
    """Return a copy as one line of JSON, as `ladder --from` reads it."""
    return msgspec.json.encode(copy).decode()
