"""One dialog as a ladder: Asterisk, proxy and application, and what passed between them. Pure."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from ari_proxy.protocol.messages import Command, CommandResponse, Event

Kind = Literal["app_start", "event", "command", "response"]
_WIDTH: Final = 62
#: Characters of a response that are shown.
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Record:
    """One message on the bus."""

    at: float  #: seconds since the dialog's first message
    kind: Kind
    text: str


def describe_event(event: Event) -> str:
    """Return an event in a few words."""
    body = msgspec.json.decode(event.ari_body)
    return f"{event.sequence} {event.type}{_detail(body)}"


def _detail(body: dict[str, Any]) -> str:
    if "digit" in body:
        return f" {body['digit']}"
    if "playback" in body:
        return f" {body['playback']['media_uri']}"
    if body.get("dialstatus"):
        return f" {body['dialstatus']}"
    return ""


def describe_command(command: Command) -> str:
    """Return a command in a few words."""
    return f"{command.method} {command.url}"


def describe_response(response: CommandResponse) -> str:
    """Return a response in a few words."""
    body = response.response_body
    shown = body if len(body) <= _SHOWN else body[:_SHOWN] + "…"
    return f"{response.status_code} {shown}".rstrip()


def draw(dialog_id: str, records: list[Record]) -> str:
    """Return the ladder of one dialog."""
    lines = [f"dialog {dialog_id}", f"{'':9}Asterisk / ari-proxy{'application':>{_WIDTH - 19}}"]
    for record in records:
        arrow = _arrow(record)
        lines.append(f"{record.at:8.3f} │{arrow}│")
    return "\n".join(lines)


def _arrow(record: Record) -> str:
    text = record.text if len(record.text) <= _WIDTH - 8 else record.text[: _WIDTH - 9] + "…"
    if record.kind == "command":
        return f"◀─ {text} ".ljust(_WIDTH, "─")
    lead = "AppStart " if record.kind == "app_start" else ""
    dash = "┄" if record.kind == "response" else "─"
    return f"{dash * 2} {lead}{text} ".ljust(_WIDTH - 1, dash) + "▶"
