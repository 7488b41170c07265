"""Topics: go-ari-proxy's names of NATS subjects and RabbitMQ queues, and ours beside them.

| topic                    | carries                                                        |
| ------------------------ | -------------------------------------------------------------- |
| `<application>`          | AppStart                                                       |
| `events_<dialog>`        | Event, ingest → application                                    |
| `commands_<dialog>`      | Command, application → command                                 |
| `responses_<dialog>`     | CommandResponse, command → application                         |
| `events_<server_id>`     | Event that belongs to no dialog (ours)                         |
| `commands_<server_id>`   | Command that belongs to no dialog (ours)                       |
| `responses_<server_id>`  | its CommandResponse (ours)                                     |
| `bindings_<server_id>`   | Binding, command → ingest, answered when it is in force (ours) |
"""

from typing import Final

from .ids import DialogId, ServerId

_EVENTS: Final = "events_"
_COMMANDS: Final = "commands_"
_RESPONSES: Final = "responses_"


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
    """Return the subject with a wildcard that takes the commands of all dialogs of `server`."""
    return f"{_COMMANDS}{server}.*"


def bindings(server: ServerId) -> str:
    """Return the topic on which ingest learns of objects that clients have named."""
    return f"bindings_{server}"


def owner_of_commands(topic: str) -> str:
    """Return the dialog id or server id of a commands topic."""
    return topic.removeprefix(_COMMANDS)
