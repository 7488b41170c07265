"""Reads the facts of a call from its records, one after another. Sans-I/O."""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec

from ari_proxy.ari import causes
from ari_proxy.protocol.malformed import UNDECODABLE

from .facts import MAX_CHANNELS, MAX_COMMANDS, CallFacts, ChannelFacts, CommandFacts
from .records import TapRecord

#: Unanswered commands of one call; of more the oldest are forgotten.
_MAX_PENDING: Final = 64
_FAILURE: Final = 400
_LEAVES: Final = re.compile(r"/?channels/([^/?]+)(?:/(continue|move|redirect))?/?")
#: What the texts of others are cut to.
_SHOWN: Final = 120


class _Message(msgspec.Struct, frozen=True):
    """What counts of any message on the bus."""

    ari_body: str = ""
    type: str = ""
    sequence: int = 0
    application: str = ""
    channel_id: str = ""
    unique_id: str = ""
    method: str = ""
    url: str = ""
    status_code: int = 0
    response_body: str = ""
    reason: str = ""


class _Party(msgspec.Struct, frozen=True):
    name: str = ""
    number: str = ""


class _DialplanContent(msgspec.Struct, frozen=True):
    exten: str = ""


class _ChannelContent(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    state: str = ""
    protocol_id: str = ""
    caller: _Party = _Party()
    connected: _Party = _Party()
    dialplan: _DialplanContent = _DialplanContent()


class _EventContent(msgspec.Struct, frozen=True):
    """What counts of an event's body."""

    application: str = ""
    channel: _ChannelContent | None = None
    cause: int = 0
    cause_txt: str = ""
    tech_cause: int = 0
    soft: bool = False
    reason: str = ""


class _Pending(NamedTuple):
    unique_id: str
    at: float
    method: str
    path: str


_message_decoder: Final = msgspec.json.Decoder(_Message)
_body_decoder: Final = msgspec.json.Decoder(_EventContent)
_answer_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def facts_of(records: Iterable[TapRecord]) -> CallFacts:
    """Return what the records of one call say about it."""
    reader = FactsReader()
    for record in records:
        reader.follow(record)
    return reader.facts


class FactsReader:
    """Collects the facts of one call."""

    def __init__(self) -> None:
        self.facts = CallFacts()
        self._pending: list[_Pending] = []
        #: The command that was answered last, if it has failed.
        self._failure = ""

    def follow(self, record: TapRecord) -> None:
        """Handle the call's next record; a malformed one says nothing."""
        facts = self.facts
        if not record.dialog_id:
            return
        facts.dialog_id, facts.server_id = record.dialog_id, record.server_id
        facts.started_at = facts.started_at or record.at
        try:
            self._follow(record, _message_decoder.decode(record.message))
        except UNDECODABLE:
            return

    def _follow(self, record: TapRecord, message: _Message) -> None:
        match record.kind:
            case "app_start":
                self.facts.application, self.facts.channel_id = (
                    message.application,
                    message.channel_id,
                )
                self.facts.is_accepted = True
            case "event" | "unheard":
                self._count(record, message.sequence)
                self._follow_event(record.at, message.type, _body_decoder.decode(message.ari_body))
            case "command":
                self._follow_command(record.at, message)
            case "response":
                self._follow_response(record.at, message)
            case "end":
                self.facts.ended_at = record.at
                self.facts.end_reason = message.reason or self.facts.end_reason
            case _:
                pass

    def _count(self, record: TapRecord, sequence: int) -> None:
        if not (self.facts.is_accepted or self.facts.unheard):
            self.facts.lacks_beginning = sequence > 1
        if record.kind == "unheard":
            self.facts.unheard += 1
        else:
            self.facts.is_accepted = True

    # Events

    def _follow_event(self, at: float, event_type: str, body: _EventContent) -> None:
        facts = self.facts
        facts.application = facts.application or body.application
        if event_type == "ProxyDialogEnded":
            facts.end_reason = body.reason
        elif event_type == "ProxyGap" and len(facts.gaps) < MAX_COMMANDS:
            facts.gaps.append(body.reason)
        elif body.channel is not None:
            channel = self._channel(body.channel)
            if channel is not None:
                _follow_channel(channel, at, event_type, body)

    def _channel(self, snapshot: _ChannelContent) -> ChannelFacts | None:
        known = self.facts.channels
        if snapshot.id not in known:
            if len(known) >= MAX_CHANNELS:
                return None
            known[snapshot.id] = ChannelFacts(snapshot.id)
            self.facts.channel_id = self.facts.channel_id or snapshot.id
        channel = known[snapshot.id]
        channel.name = snapshot.name or channel.name
        channel.protocol_id = snapshot.protocol_id or channel.protocol_id
        channel.caller = channel.caller or snapshot.caller.number
        channel.caller_name = channel.caller_name or snapshot.caller.name
        channel.connected = snapshot.connected.number or channel.connected
        channel.called = channel.called or snapshot.dialplan.exten
        return channel

    # Commands

    def _follow_command(self, at: float, message: _Message) -> None:
        path = message.url.partition("?")[0][:_SHOWN]
        self._pending.append(_Pending(message.unique_id, at, message.method.upper(), path))
        del self._pending[:-_MAX_PENDING]

    def _follow_response(self, at: float, message: _Message) -> None:
        command = self._take(message.unique_id)
        if command is None:
            return
        request = f"{command.method} {command.path}"
        after, self._failure = self._failure, ""
        if message.status_code >= _FAILURE:
            self._failure = self._add_failed(at, request, message)
        elif channel_id := _leaving(command):
            departure = CommandFacts(at, request, channel_id, message.status_code, after=after)
            _add(self.facts.departures, departure)

    def _add_failed(self, at: float, request: str, message: _Message) -> str:
        text = _message_in(message.response_body)
        failed = CommandFacts(at, request, status=message.status_code, message=text)
        _add(self.facts.failed, failed)
        return f"{request} had failed: {failed.status} {text}".rstrip()

    def _take(self, unique_id: str) -> _Pending | None:
        """Return the command of a response by its id, which may be empty; the oldest of several."""
        found = next((one for one in self._pending if one.unique_id == unique_id), None)
        if found is not None:
            self._pending.remove(found)
        return found


def _add(kept: list[CommandFacts], command: CommandFacts) -> None:
    if len(kept) < MAX_COMMANDS:
        kept.append(command)


def _leaving(command: _Pending) -> str:
    """Return the channel that a command makes leave its application, or ''."""
    found = _LEAVES.fullmatch(command.path)
    if found is None:
        return ""
    leaves = command.method == "POST" if found[2] else command.method == "DELETE"
    return unquote(found[1]) if leaves else ""


def _message_in(body: str) -> str:
    """Return the `message` in the body of a response, or ''."""
    try:
        text = _answer_decoder.decode(body).get("message", "")
    except UNDECODABLE:
        return ""
    return " ".join(str(text).split())[:_SHOWN]


def _follow_channel(channel: ChannelFacts, at: float, event_type: str, body: _EventContent) -> None:
    state = body.channel.state if body.channel is not None else ""
    if state == "Up":
        channel.answered_at = channel.answered_at or at
    if event_type == "ChannelHangupRequest":
        _follow_hangup(channel, body)
    elif event_type == "StasisEnd":
        channel.left_at = at
    elif event_type == "ChannelDestroyed":
        channel.left_at, channel.ended_at = channel.left_at or at, at
        _set_cause(channel, body.cause, body.cause_txt)
        channel.tech_cause = channel.tech_cause or body.tech_cause


def _follow_hangup(channel: ChannelFacts, body: _EventContent) -> None:
    """Note the first request: those that follow come of it."""
    if channel.hung_up:
        return
    channel.hung_up = "asterisk" if body.soft else "peer"
    # A soft one's cause is a flag of Asterisk's own (32), none of Q.850. Of a channel that the
    # dialplan put into Stasis no ChannelDestroyed comes, which would have it as well.
    if not body.soft:
        channel.tech_cause = body.tech_cause
        _set_cause(channel, body.cause, causes.text_of(body.cause))


def _set_cause(channel: ChannelFacts, cause: int, text: str) -> None:
    if cause:
        channel.cause, channel.cause_text = cause, text
