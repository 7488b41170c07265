"""Why a call ended, in one sentence. Sans-I/O.

The first row of `ROWS` that has a sentence for a call gives the reason. What an application or
Asterisk did comes last, since it only follows from what the rows above tell.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from ari_proxy.protocol import ids

from .facts import CallFacts, ChannelFacts

Reason = Literal[
    "asterisk_restarted",
    "server_removed",
    "claimed_elsewhere",
    "offer_over",
    "not_created",
    "no_channel",
    "no_application",
    "application_gone",
    "ended_unseen",
    "hung_up_by_caller",
    "hung_up_by_called",
    "hung_up_by_application",
    "continued_in_dialplan",
    "moved",
    "not_answered",
    "hung_up_in_asterisk",
    "unknown",
]


class Ending(NamedTuple):
    """Why a call ended."""

    reason: Reason
    sentence: str


#: How calls end in which nothing is wrong.
USUAL: Final[frozenset[Reason]] = frozenset(
    {
        "claimed_elsewhere",
        "offer_over",
        "hung_up_by_caller",
        "hung_up_by_called",
        "hung_up_by_application",
        "continued_in_dialplan",
        "moved",
    }
)


def is_failed(facts: CallFacts) -> bool:
    """Return whether something went wrong: a command, a gap, or how it ended."""
    usual = USUAL | {"unknown"} if facts.lacks_beginning else USUAL
    is_unusual = bool(facts.ended_at) and ending_of(facts).reason not in usual
    return is_unusual or bool(facts.failed or facts.gaps)


def ending_of(facts: CallFacts) -> Ending:
    """Return why a call ended; the sentence begins in lower case and has no stop."""
    rows = _REPORTED if facts.lacks_beginning else ROWS
    for reason, sentence_of in rows:
        if sentence := sentence_of(facts):
            return Ending(reason, sentence)
    lacking = "its beginning was not kept" if facts.lacks_beginning else ""
    return Ending("unknown", lacking or "its messages do not tell why")


# What the proxy has reported


def _reported(reason: str, sentence: str) -> Callable[[CallFacts], str]:
    return lambda facts: sentence if facts.end_reason == reason else ""


def _not_created(facts: CallFacts) -> str:
    if facts.end_reason != "not_created":
        return ""
    failed = facts.failed[-1] if facts.failed else None
    why = f": {failed.request} failed with {failed.status} {failed.message}" if failed else ""
    return f"Asterisk refused to create its channel{why}".rstrip()


def _no_application(facts: CallFacts) -> str:
    if facts.is_accepted or not (facts.unheard or facts.end_reason == "no_listener"):
        return ""
    name = facts.application or "its application"
    return f"no instance of {name} took the call, so ingest.no_listener was applied"


def _application_gone(facts: CallFacts) -> str:
    if not (facts.unheard or facts.end_reason == "no_listener"):
        return ""
    name = facts.application or "its application"
    return f"{name} was gone and no other instance took over, so ingest.no_listener was applied"


def _ended_unseen(facts: CallFacts) -> str:
    if facts.end_reason == "channels_gone":
        return "its channels ended while ari-proxy had no connection to Asterisk"
    main = facts.main
    was_seen = main is not None and (main.left_at or main.hung_up)
    if was_seen or not facts.gaps:
        return ""
    return f"its end was not seen, since events are missing ({facts.gaps[-1]})"


# What its channels and commands tell


def _hung_up_by_caller(facts: CallFacts) -> str:
    main = facts.main
    is_so = main is not None and main.hung_up == "peer" and not _is_called(main)
    return f"the caller hung up{_cause(main)}" if main is not None and is_so else ""


def _hung_up_by_called(facts: CallFacts) -> str:
    main = facts.main
    if main is None or main.hung_up != "peer" or not main.answered_at:
        return ""
    return f"{_shown(main)}, which was called, hung up{_cause(main)}"


def _by_command(facts: CallFacts, *verbs: str) -> str:
    """Return the request that made the call's channel leave, if it is one of these; with why."""
    command = facts.departure_of(facts.main.channel_id) if facts.main is not None else None
    if command is None or not _is_one_of(command.request, verbs):
        return ""
    return f"with {command.request}{_after(facts, command.after)}"


def _is_one_of(request: str, verbs: tuple[str, ...]) -> bool:
    method, _, path = request.partition(" ")
    return (path.rpartition("/")[2] if method == "POST" else method) in verbs


def _after(facts: CallFacts, failure: str) -> str:
    """Return what may have led to a command: another party's end, or a failure before it."""
    gone = _gone(facts)
    if gone is not None:
        how = "had hung up" if gone.answered_at else f"had not answered{_cause(gone)}"
        return f", after {_shown(gone)} {how}"
    return f", after {failure}" if failure else ""


def _gone(facts: CallFacts) -> ChannelFacts | None:
    """Return another party that has hung up; one that did not answer only if no other did."""
    # The peer half of a Local channel only follows the other one.
    others = [
        one
        for one in facts.channels.values()
        if one is not facts.main and not one.channel_id.endswith(ids.PEER_HALF)
    ]
    answered = [one for one in others if one.answered_at]
    return next((one for one in answered or others if one.hung_up == "peer"), None)


def _hung_up_by_application(facts: CallFacts) -> str:
    command = _by_command(facts, "DELETE")
    return f"the application hung up {command}" if command else ""


def _continued(facts: CallFacts) -> str:
    command = _by_command(facts, "continue")
    return f"the application sent the call on to the dialplan {command}" if command else ""


def _moved(facts: CallFacts) -> str:
    command = _by_command(facts, "move", "redirect")
    return f"the application sent the call elsewhere {command}" if command else ""


def _not_answered(facts: CallFacts) -> str:
    main = facts.main
    if main is None or main.answered_at or not _is_called(main):
        return ""
    if not (main.hung_up or main.ended_at):
        return ""
    return f"{_shown(main)} did not answer{_cause(main)}"


def _hung_up_in_asterisk(facts: CallFacts) -> str:
    main = facts.main
    if main is None or not (main.hung_up or main.ended_at):
        return ""
    return f"Asterisk hung up, by no command that was seen{_cause(main)}"


def _is_called(channel: ChannelFacts) -> bool:
    """Return whether a channel was created by a command: ari-proxy has named it."""
    return ids.token_of_object(channel.channel_id) is not None


def _shown(channel: ChannelFacts) -> str:
    return channel.name.rpartition("-")[0] or channel.name or channel.channel_id


def _cause(channel: ChannelFacts | None) -> str:
    if channel is None or not (channel.cause or channel.tech_cause):
        return ""
    parts = [f"{channel.cause} {channel.cause_text}".rstrip()] if channel.cause else []
    parts += [f"tech cause {channel.tech_cause}"] if channel.tech_cause else []
    return f" ({', '.join(parts)})"


_Row = tuple[Reason, Callable[[CallFacts], str]]

#: What the proxy reports, whichever channels the call had.
_REPORTED: Final[tuple[_Row, ...]] = (
    ("asterisk_restarted", _reported("asterisk_restarted", "Asterisk restarted")),
    (
        "server_removed",
        _reported("server_removed", "ari-proxy serves this Asterisk no more: it was removed"),
    ),
    (
        "claimed_elsewhere",
        _reported("claimed_elsewhere", "Asterisk gave the call to another application"),
    ),
    (
        "offer_over",
        _reported(
            "offer_over", "the caller hung up, or the dialplan went on, while it was offered"
        ),
    ),
    ("not_created", _not_created),
    (
        "no_channel",
        _reported("no_channel", "no channel came, and Asterisk has none that was asked for"),
    ),
)

ROWS: Final[tuple[_Row, ...]] = (
    *_REPORTED,
    ("no_application", _no_application),
    ("application_gone", _application_gone),
    ("ended_unseen", _ended_unseen),
    ("hung_up_by_caller", _hung_up_by_caller),
    ("hung_up_by_called", _hung_up_by_called),
    ("hung_up_by_application", _hung_up_by_application),
    ("continued_in_dialplan", _continued),
    ("moved", _moved),
    ("not_answered", _not_answered),
    ("hung_up_in_asterisk", _hung_up_in_asterisk),
)
