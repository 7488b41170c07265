"""Topics: go-ari-proxy's names of NATS subjects and RabbitMQ queues, and ours beside them.

On RabbitMQ the topics of applications and dialogs, and `commands_<server_id>`, are queues; the
others are routing keys of an exchange. Topics without a mark are the original's.

| topic                    | carries                                                             |
| ------------------------ | ------------------------------------------------------------------- |
| `<application>`          | AppStart                                                            |
| `recovered_<application>` | AppStart of a call whose instance is gone (ours)                   |
| `events_<dialog>`        | Event, ingest → application                                         |
| `commands_<dialog>`      | Command, application → command                                      |
| `responses_<dialog>`     | CommandResponse, command → application                              |
| `events_<server_id>`     | Event that belongs to no dialog (ours)                              |
| `commands_<server_id>`   | Command that belongs to no dialog (ours)                            |
| `responses_<server_id>`  | its CommandResponse (ours)                                          |
| `bindings_<server_id>`   | ObjectRegistration, command → ingest; RegistrationReply back (ours) |
| `owners_<server_id>`     | OwnershipQuery, command → ingest; OwnershipReply back (ours)        |
| `handover_<server_id>`   | dialogs, from an ingest to its successor (ours)                     |
| `watching_<server_id>`   | TapRequest, answered with OpenDialogs; RecordedRequest (ours)       |
| `copies_<server_id>`     | TapRecord: a copy, ingest and command → watchers (ours)             |
"""

from typing import Final

from . import ids
from .ids import DialogId, ServerId

_EVENTS: Final = "events_"
_COMMANDS: Final = "commands_"
_RESPONSES: Final = "responses_"
_BINDINGS: Final = "bindings_"
_OWNERS: Final = "owners_"
_HAND_OVER: Final = "handover_"
_DIALOGS: Final = "dialogs_"
_RECOVERED: Final = "recovered_"
_WATCHING: Final = "watching_"
_COPIES: Final = "copies_"
#: Prefixes of topics that are no queues on RabbitMQ unless a dialog owns them.
_NO_QUEUES: Final = (_EVENTS, _RESPONSES, _BINDINGS, _OWNERS, _HAND_OVER, _WATCHING, _COPIES)
#: Prefixes that no application's name may have where its topic is a queue.
RESERVED: Final = (_EVENTS, _COMMANDS, *_NO_QUEUES[1:], _DIALOGS, _RECOVERED)


def events(owner: DialogId | ServerId) -> str:
    """Return the topic with the events of a dialog, or of a server's dialogless objects."""
    return _EVENTS + owner


def commands(owner: DialogId | ServerId) -> str:
    """Return the topic with the commands of a dialog, or with a server's dialogless ones."""
    return _COMMANDS + owner


def responses(owner: DialogId | ServerId) -> str:
    """Return the topic with the responses to the commands of `owner`."""
    return _RESPONSES + owner


def commands_of_all_dialogs(server: ServerId) -> str:
    """Return the pattern of the topics with the commands of all dialogs of `server` (`matches`).

    On NATS it is a subject, whose wildcard stands for the token of the dialogs' ids.
    """
    return f"{_COMMANDS}{server}.*"


def recovered(application: str) -> str:
    """Return the topic with AppStarts of calls whose instance of the application is gone."""
    return _RECOVERED + application


def is_optional(topic: str) -> bool:
    """Return whether an account may lack the right to publish there: all else works without it."""
    return topic.startswith(_RECOVERED)


def bindings(server: ServerId) -> str:
    """Return the topic for registrations of objects that clients have named."""
    return _BINDINGS + server


def owners(server: ServerId) -> str:
    """Return the topic for ownership queries, which ingest answers."""
    return _OWNERS + server


def hand_over(server: ServerId) -> str:
    """Return the topic on which a successor requests the dialogs of the active ingest."""
    return _HAND_OVER + server


def tap_requests(server: ServerId) -> str:
    """Return the topic on which watchers request copies of messages."""
    return _WATCHING + server


def tap_records(server: ServerId) -> str:
    """Return the topic with copies of all messages, sent only while somebody watches."""
    return _COPIES + server


def of_dialog(dialog: DialogId) -> tuple[str, str, str]:
    """Return the three topics of a dialog: events, commands, responses."""
    return events(dialog), commands(dialog), responses(dialog)


def is_events(topic: str) -> bool:
    """Return whether the topic carries events."""
    return topic.startswith(_EVENTS)


def is_fleeting(topic: str) -> bool:
    """Return whether the topic carries the events of a dialog that has no queues."""
    return topic.startswith(_EVENTS) and "." in topic


def is_of_dialog(topic: str) -> bool:
    """Return whether it is a topic of a dialog."""
    return topic.startswith((_EVENTS, _COMMANDS, _RESPONSES)) and ids.is_dialog_id(owner_of(topic))


def is_queue(topic: str) -> bool:
    """Return whether the topic is a queue on RabbitMQ: one group of listeners, messages wait."""
    if "." in topic or topic.startswith(_NO_QUEUES):
        return is_of_dialog(topic)
    return True


def is_for_replies(topic: str) -> bool:
    """Return whether a topic may be that of a requester's replies: it has no other meaning.

    Each bus has its own form, like `_INBOX.x`; on NATS `bus.inbox_prefix` may name another one.
    """
    return "." in topic and not topic.startswith(RESERVED)


def registry(server: ServerId) -> str:
    """Return the RabbitMQ queue that records which dialogs of `server` have queues."""
    return _DIALOGS + server


def owner_of(topic: str) -> str:
    """Return the dialog id or server id to which a topic belongs."""
    return topic.partition("_")[2]


def pattern_of(topic: str) -> str:
    """Return a pattern for one of unboundedly many topics (dialogs, inboxes), else the topic."""
    first, dot, _ = topic.partition(".")
    if is_of_dialog(topic):
        return f"{first}.*" if dot else f"{topic.partition('_')[0]}_*"
    return f"{first}.>" if dot else topic


def matches(pattern: str, topic: str) -> bool:
    """Return whether a topic matches a pattern, in which `*` stands for one token.

    `commands_<server_id>.*` matches those of all the server's dialogs, in either form of their ids.
    """
    if "*" not in pattern:
        return pattern == topic
    if "." not in topic:
        kind, _, server = pattern.removesuffix(".*").partition("_")
        is_kind = topic.partition("_")[0] == kind
        return is_kind and is_of_dialog(topic) and ids.is_of_server(owner_of(topic), server)
    wanted, got = pattern.split("."), topic.split(".")
    return len(wanted) == len(got) and all(w in {"*", g} for w, g in zip(wanted, got, strict=True))
