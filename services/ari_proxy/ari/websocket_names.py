"""What both sides of a websocket call it: our services, and Asterisk's configuration. Sans-I/O."""

from typing import Final

#: Applications of websockets for commands begin with it, in Asterisk's list of applications, too.
COMMAND_PREFIX: Final = "ari-proxy-command-"


def command_application(number: int) -> str:
    """Return the application of a websocket for commands that Asterisk opens, counted from one."""
    return f"{COMMAND_PREFIX}{number}"


def events_path(server_id: str) -> str:
    """Return the path on our listener for the events of a server."""
    return f"/{server_id}/events"


def commands_path(server_id: str) -> str:
    """Return the path on our listener for the websockets of its commands."""
    return f"/{server_id}/commands"
