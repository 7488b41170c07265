"""One line per call, for `calls`. Sans-I/O."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from ari_proxy.tap.ending import ending_of
from ari_proxy.tap.facts import CallFacts, ChannelFacts, CommandFacts


def line(facts: CallFacts, now: float) -> str:
    """Return a call as its start (UTC), duration, parties, application, dialog, and its end.

    Args:
        facts: of the call.
        now: Unix time, until which an open one has lasted.
    """
    time = datetime.fromtimestamp(facts.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    main = facts.main
    parties = f"{_caller(main)} → {_called(main)}" if main is not None else "? → ?"
    why = ending_of(facts).sentence if facts.ended_at else "open"
    failed = f"; failed: {_failures(facts)}" if facts.failed else ""
    text = f"{time} {facts.seconds(now):7.1f} s  {parties}  {facts.application or '?'}  "
    return _printable(f"{text}{facts.dialog_id}  {why}{failed}")


def _caller(channel: ChannelFacts) -> str:
    return channel.caller or channel.name or channel.channel_id


def _called(channel: ChannelFacts) -> str:
    return channel.called or channel.connected or "?"


def _failures(facts: CallFacts) -> str:
    last = facts.failed[-1]
    more = f" and {len(facts.failed) - 1} more" if len(facts.failed) > 1 else ""
    return f"{last.request} {last.status}{more}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def row_of(facts: CallFacts, now: float) -> dict[str, Any]:
    """Return a call as an object: times in Unix seconds, as `now` is; 0 if they are not known."""
    main = facts.main or ChannelFacts("")
    ending = ending_of(facts) if facts.ended_at else None
    return {
        "dialog_id": facts.dialog_id,
        "server_id": facts.server_id,
        "application": facts.application,
        "state": "ended" if facts.ended_at else "open",
        "caller": main.caller,
        "caller_name": main.caller_name,
        "called": main.called,
        "connected": main.connected,
        "started_at": facts.started_at,
        "answered_at": main.answered_at,
        "ended_at": facts.ended_at,
        "seconds": facts.seconds(now),
        "reason": ending.reason if ending else "",
        "why": ending.sentence if ending else "",
        "cause": main.cause,
        "cause_text": main.cause_text,
        "tech_cause": main.tech_cause,
        "no_listener_policy": bool(facts.unheard),
        "gaps": facts.gaps,
        "failed": [_command(command) for command in facts.failed],
        "channels": [
            {"channel_id": one.channel_id, "name": one.name, "protocol_id": one.protocol_id}
            for one in facts.channels.values()
        ],
    }


def _command(command: CommandFacts) -> dict[str, Any]:
    return {"request": command.request, "status": command.status, "message": command.message}


def as_json(facts: CallFacts, now: float) -> str:
    """Return a call as one line of JSON; `now` is Unix time."""
    return msgspec.json.encode(row_of(facts, now)).decode()
