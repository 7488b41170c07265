"""What all models and events are: frozen structs that know the JSON they were read from."""

from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeVar

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

#: The time of an event that says none.
NEVER: Final = datetime.min.replace(tzinfo=UTC)
_RAW: Final = "raw"
_SEQUENCE: Final = "sequence"

_object = msgspec.json.Decoder(dict[str, Any])


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """Base class of models: fields that Asterisk may leave out are None then."""

    @property
    def raw(self) -> str:
        """The JSON that it was read from, with fields that the class does not have.

        '' for one that stands in another one, and for one that was not read.
        """
        text: str = self.__dict__.get(_RAW, "")
        return text

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = ", ".join(f"{name}={value!r}" for name, value in values if value is not None)
        return f"{type(self).__name__}({shown})"


class Event(Model, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Base class of events."""

    #: The application that it is for.
    application: str
    #: When it happened, by Asterisk's clock.
    timestamp: datetime
    #: Asterisk's identity; '' from older ones.
    asterisk_id: str = ""

    @property
    def type(self) -> str:
        """Its type, like `StasisStart`."""
        tag = self.__struct_config__.tag
        return tag if isinstance(tag, str) else ""

    @property
    def sequence(self) -> int:
        """Its number among the events of a call; 0 for one that did not come from a call."""
        number: int = self.__dict__.get(_SEQUENCE, 0)
        return number

    @cached_property
    def body(self) -> dict[str, Any]:
        """All of `raw`, with fields that the class does not have; {} if it is no JSON object."""
        try:
            return _object.decode(self.raw)
        except UNDECODABLE:
            return {}

    @cached_property
    def channel_id(self) -> str:
        """The id of its `channel`, or ''."""
        channel = getattr(self, "channel", None)
        is_read = isinstance(channel, Model)
        found = getattr(channel, "id", "") if is_read else _id_in(self.body.get("channel"))
        return found if isinstance(found, str) else ""


def _id_in(channel: object) -> object:
    return channel.get("id") if isinstance(channel, dict) else None


class RawEvent(Event, frozen=True, kw_only=True):
    """An event whose type is not known here, or that is not as its type should be."""

    #: What `type` returns: the event's own.
    event_type: str
    #: Why it is not read as one of its type; '' for an unknown type.
    problem: str = ""

    @property
    def type(self) -> str:
        """Its type, as Asterisk has sent it."""
        return self.event_type


ModelT = TypeVar("ModelT", bound=Model)


def with_raw(model: ModelT, raw: str) -> ModelT:
    """Return a model that knows the JSON that it was read from."""
    model.__dict__[_RAW] = raw
    return model


EventT = TypeVar("EventT", bound=Event)


def with_sequence(event: EventT, sequence: int) -> EventT:
    """Return an event that knows its number among those of its call."""
    event.__dict__[_SEQUENCE] = sequence
    return event


class _Envelope(msgspec.Struct):
    """What every event should have, read from one that is not understood."""

    type: str = ""
    application: str = ""
    timestamp: datetime = NEVER
    asterisk_id: str = ""


class _TypeAlone(msgspec.Struct):
    type: str = ""


_envelope = msgspec.json.Decoder(_Envelope)
_type_alone = msgspec.json.Decoder(_TypeAlone)


def raw_event(body: str, problem: str) -> RawEvent:
    """Return an event that is not understood.

    Args:
        body: as it was received; any text.
        problem: why it is not understood; '' for an unknown type.
    """
    try:
        envelope = _envelope.decode(body)
    except UNDECODABLE:
        envelope = _Envelope(_type_of(body))
    event = RawEvent(
        application=envelope.application,
        timestamp=envelope.timestamp,
        asterisk_id=envelope.asterisk_id,
        event_type=envelope.type,
        problem=problem,
    )
    return with_raw(event, body)


def _type_of(body: str) -> str:
    try:
        return _type_alone.decode(body).type
    except UNDECODABLE:
        return ""
