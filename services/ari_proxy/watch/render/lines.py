"""One line per record, for `tail`."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from ari_proxy.tap.records import Kind, TapRecord

from .descriptions import describe, is_failure

#: Direction of a message, seen from the application.
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


def line(record: TapRecord, *, coloured: bool, names_server: bool = False) -> str:
    """Return a record as time (UTC), dialog or server, and message.

    Args:
        record: a record.
        coloured: for a terminal.
        names_server: whether to name the server too, which the dialog's id may not tell.
    """
    time = datetime.fromtimestamp(record.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    owner = record.dialog_id or record.server_id
    if names_server and record.dialog_id:
        owner = f"{record.server_id} {owner}"
    text = f"{_ARROWS[record.kind]} {describe(record)}"
    if not coloured:
        return f"{time} {owner} {text}"
    colour = _RED if is_failure(record) else _COLOURS[record.kind]
    return f"\x1b[2m{time}\x1b[0m {owner} \x1b[{colour}m{text}\x1b[0m"


def as_json(record: TapRecord) -> str:
    """Return a record as one line of JSON, as `ladder --from` reads it."""
    return msgspec.json.encode(record).decode()
