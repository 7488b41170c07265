"""Errors of the client, by what they mean.

ClientError
├── Misconfigured           an App can't run as it is set up
├── Unsupported             the server's Asterisk is older than the operation; nothing was sent
├── CallEnded               the call has ended before what was waited for
├── NotPlayed               Asterisk can't play media, or has not begun to
├── NotRecorded             a recording has failed
├── NotConnected            the other end of external media is away
├── DialFailed              no endpoint that was dialled has answered
│   ├── Busy                all of them are busy
│   ├── NoAnswer            nobody has answered in time
│   ├── Rejected            they don't take the call, for the reason in `cause`
│   └── NotAccepted         who has answered does not take the call
├── NotTransferred          a phone has not done a transfer
├── RequestFailed           the request was answered with an error
│   ├── InvalidParameters   a parameter is wrong: 400, 405, 413, 422; 0 if not even sent
│   ├── NotAllowed          the proxy's policy or scope, or Asterisk's user, forbids it: 403
│   ├── NotFound            there is no such object: 404
│   ├── Conflict            the object's state forbids it, or its name is taken: 409
│   └── InvalidState        the channel is not up, or is about to end: 412
└── TransportFailed         nobody knows Asterisk's answer; `sent` says what may have happened
    ├── NotSent             Asterisk has not got the request: it may be sent again
    ├── AnswerLost          Asterisk has executed it, and its answer can't be had
    └── OutcomeUnknown      Asterisk may have executed it
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

_FIRST_ERROR: Final = 400
_EMPTY: Final = "no text"
#: Characters of a body that is not JSON, such as a page of HTML.
_MOST_CHARACTERS: Final = 200
#: Statuses with which the proxy says that it has no answer (docs/reference/wire.md).
_GATEWAY: Final = frozenset({501, 502, 503, 504})


class ClientError(Exception):
    """Base class of the client's errors."""


class Misconfigured(ClientError, ValueError):
    """An App can't run as it is set up; the message says what to change."""


class Unsupported(ClientError):
    """The server's Asterisk is older than an operation or a parameter; nothing was sent."""

    def __init__(self, what: str, needed: str, present: str) -> None:
        super().__init__(f"{what} needs Asterisk {needed} or newer; this server has {present}")
        self.what = what
        #: The first versions that have it, one of each branch, like `20.20, 22.10, 23.4`.
        self.needed = needed
        #: The server's version.
        self.present = present


#: Who has ended a call: the other end has hung up; a command has, of whomever, or has sent the
#: channel elsewhere; or ari-proxy has found that it is over.
Who = Literal["peer", "command", "proxy"]
_DEEDS: Final[dict[Who, str]] = {
    "peer": "the other end has hung up",
    "command": "a command has hung up, or sent the channel elsewhere",
    "proxy": "ari-proxy has found that it is over",
}


class CallEnded(ClientError):
    """The call has ended."""

    def __init__(
        self, call_id: str, who: Who, *, cause: int | None = None, tech_cause: int | None = None
    ) -> None:
        because = "" if cause is None else f", cause {cause}"
        super().__init__(f"call {call_id} has ended: {_DEEDS[who]}{because}")
        self.call_id = call_id
        self.who = who
        #: A Q.850 cause; None if no event has told it before the end.
        self.cause = cause
        #: The technology's own cause, like a status of SIP; None if no event has told it.
        self.tech_cause = tech_cause


class NotPlayed(ClientError):
    """Asterisk can't play media, or has not begun to."""

    def __init__(self, media: str, reason: str) -> None:
        super().__init__(f"{media} was not played: {reason}")
        #: What was to be played, or the id of its playback.
        self.media = media
        self.reason = reason


class NotRecorded(ClientError):
    """A recording has failed, or was cancelled."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"recording {name!r} was not made: {reason}")
        self.name = name
        self.reason = reason


class NotConnected(ClientError):
    """The other end of external media is away, or Asterisk can't send to it."""

    def __init__(self, target: str, reason: str, *, cause: int | None = None) -> None:
        because = "" if cause is None else f", cause {cause}"
        super().__init__(f"{target} is not connected: {reason}{because}")
        #: What was to be connected, like `websocket agents`.
        self.target = target
        self.reason = reason
        #: A Q.850 cause; None if none was told.
        self.cause = cause


class DialFailed(ClientError):
    """No endpoint that was dialled has answered."""

    #: What has become of them.
    outcome = "no answer"

    def __init__(self, endpoints: Sequence[str], *, cause: int | None = None) -> None:
        because = "" if cause is None else f", cause {cause}"
        super().__init__(f"{', '.join(endpoints)}: {self.outcome}{because}")
        self.endpoints = tuple(endpoints)
        #: The Q.850 cause of the first one whose end says as much; None if none was told.
        self.cause = cause


class Busy(DialFailed):
    """All endpoints that were dialled are busy."""

    outcome = "busy"


class NoAnswer(DialFailed):
    """Nobody has answered in time."""

    outcome = "nobody has answered in time"


class Rejected(DialFailed):
    """The endpoints that were dialled don't take the call, or can't be reached."""

    outcome = "rejected"


#: Why a call was not accepted: by another digit, without any, or by hanging up.
WhyNot = Literal["declined", "silent", "hung_up"]


class NotAccepted(DialFailed):
    """Who has answered does not take the call."""

    outcome = "not accepted"

    def __init__(self, endpoint: str, why: WhyNot) -> None:
        super().__init__([endpoint])
        self.why = why


class NotTransferred(ClientError):
    """A phone or a trunk has not done a transfer."""

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"the call was not transferred to {endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class RequestFailed(ClientError):
    """A request was answered with an error."""

    def __init__(self, request: str, status: int, message: str, reason: str = "") -> None:
        super().__init__(f"{request}: {status}, {message}")
        self.request = request
        #: The answer's; 0 if the request was not sent.
        self.status = status
        #: Asterisk's text, or the proxy's.
        self.message = message
        #: Like `ari_proxy.policy`, or '' if Asterisk has refused it.
        self.reason = reason


class InvalidParameters(RequestFailed, ValueError):
    """A parameter is wrong; with status 0 it was found out before the request was sent."""


class NotAllowed(RequestFailed):
    """The proxy's policy or scope, or Asterisk's user, forbids the request."""


class NotFound(RequestFailed):
    """There is no such object."""


class Conflict(RequestFailed):
    """The object's state forbids the request, or the name of the new object is taken."""


class InvalidState(RequestFailed):
    """The channel is not up, or is about to end."""


class TransportFailed(ClientError):
    """Nobody knows what Asterisk answers to a request."""

    #: True: Asterisk has executed it; False: it has not got it; None: it may have executed it.
    sent: bool | None = None

    def __init__(self, request: str, message: str) -> None:
        super().__init__(f"{request}: {message}")
        self.request = request
        self.message = message


class NotSent(TransportFailed):
    """Asterisk has not got the request: it may be sent again."""

    sent = False


class AnswerLost(TransportFailed):
    """Asterisk has executed the request, and its answer can't be had."""

    sent = True


class OutcomeUnknown(TransportFailed):
    """Asterisk may have executed the request."""

    sent = None


_BY_STATUS: Final[dict[int, type[RequestFailed]]] = {
    400: InvalidParameters,
    403: NotAllowed,
    404: NotFound,
    405: InvalidParameters,
    409: Conflict,
    412: InvalidState,
    413: InvalidParameters,
    422: InvalidParameters,
}


_UNAVAILABLE: Final = 503
_TOO_LARGE: Final = "ari_proxy.too_large"


class _Body(msgspec.Struct):
    """The body of an error: Asterisk's has a message alone."""

    message: str = ""
    error: str = ""
    sent: bool = True


_body = msgspec.json.Decoder(_Body)


def of_answer(request: str, status: int, body: str | bytes) -> ClientError | None:
    """Return the error that an answer stands for; None for one that is none.

    Args:
        request: names it in the error, like `channels.answer (POST /channels/1.2/answer)`.
        status: the answer's.
        body: the answer's.
    """
    if status < _FIRST_ERROR:
        return None
    content = _content(body)
    if content.error.startswith("ari_proxy.") and status in _GATEWAY:
        return _transport_error(request, content)
    kind = _BY_STATUS.get(status, RequestFailed)
    return kind(request, status, content.message or _EMPTY, content.error)


def is_unregistered(status: int, body: str | bytes) -> bool:
    """Return whether an answer says that ingest could not be told of what is to be created."""
    return status == _UNAVAILABLE and _content(body).error == "ari_proxy.registration"


def is_unknown(status: int, body: str | bytes) -> bool:
    """Return whether an answer of ari-proxy says that Asterisk may have executed the request."""
    if status not in _GATEWAY:
        return False
    content = _content(body)
    is_lost = content.error == _TOO_LARGE  # Its answer, and nothing else, is not known.
    return content.error.startswith("ari_proxy.") and content.sent and not is_lost


def is_cut_off(status: int, body: str | bytes) -> bool:
    """Return whether the connection to Asterisk broke before its answer."""
    return is_unknown(status, body) and _content(body).error == "ari_proxy.unreachable"


def _content(body: str | bytes) -> _Body:
    text = body if isinstance(body, str) else body.decode(errors="replace")
    try:
        return _body.decode(text)
    except UNDECODABLE:
        return _Body(text.strip()[:_MOST_CHARACTERS])


def _transport_error(request: str, content: _Body) -> TransportFailed:
    if not content.sent:
        return NotSent(request, content.message)
    if content.error == _TOO_LARGE:
        return AnswerLost(request, content.message)
    return OutcomeUnknown(request, content.message)
