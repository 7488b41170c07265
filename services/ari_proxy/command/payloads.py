"""Payloads of commands topics: their commands, and their rank in a lane. Sans-I/O."""

from ari_proxy.ari import operations, urls
from ari_proxy.ari.errors import IllegalUrlError
from ari_proxy.protocol import messages
from ari_proxy.protocol.errors import MalformedMessageError
from ari_proxy.protocol.messages import MAX_COMMANDS, Command

from .errors import RejectedError


def commands_of(payload: bytes) -> list[Command]:
    """Return the commands in a message's payload.

    Raises:
        RejectedError: the payload is malformed, or an array of too many commands.
    """
    try:
        commands = messages.decode_commands(payload)
    except MalformedMessageError as error:
        raise RejectedError(400, "malformed", str(error)) from error
    if len(commands) > MAX_COMMANDS:  # Even refusing so many holds the other calls up.
        text = f"an array has at most {MAX_COMMANDS} commands, this one has {len(commands)}"
        raise RejectedError(413, "too_large", text)
    return commands


def is_urgent(payload: bytes) -> bool:
    """Return whether a payload is a single hang-up; the commands of an array keep their order."""
    if b"delete" not in payload.lower() or messages.is_array(payload):
        return False
    try:
        return is_hang_up(messages.decode_commands(payload)[0])
    except MalformedMessageError:
        return False


def may_create_channel(payload: bytes) -> bool:
    """Return whether any of a payload's commands may create a channel."""
    try:
        return any(map(creates_channel, commands_of(payload)))
    except RejectedError:
        return False


def is_hang_up(command: Command) -> bool:
    """Return whether a command ends a channel."""
    if command.method.upper() != "DELETE":
        return False
    return _template_of(command) == "/channels/{channelId}"


def creates_channel(command: Command) -> bool:
    """Return whether a command creates a channel, or may do so since its path is unknown."""
    if command.method.upper() != "POST":
        return False
    template = _template_of(command)
    creation = operations.CREATIONS.get(template)
    return template == operations.OTHER or (creation is not None and creation.kind == "channel")


def _template_of(command: Command) -> str:
    """Return the template of a command's path, or '' if its URL is illegal."""
    try:
        return operations.template_of(urls.parse(command.url).path)
    except IllegalUrlError:
        return ""
