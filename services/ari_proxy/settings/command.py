"""Settings of command: limits and policies."""

from typing import Final, Literal

from pydantic import Field

from .fields import Rule
from .group import Group

#: By default everything is allowed but what changes Asterisk itself; the operator's default, too.
ALLOW: Final = ("* /**",)
DENY: Final = ("* /asterisk/modules/**", "* /asterisk/config/**")


class PolicySettings(Group):
    """What the dialogs of one application may do."""

    allow: tuple[Rule, ...] = ALLOW
    """Method and path. `*` in a path is one segment, `**` the rest."""

    deny: tuple[Rule, ...] = DENY
    """What they may not do, though it is allowed."""


class CommandSettings(Group):
    """How commands become requests."""

    max_pending: int = Field(default=10_000, ge=1)
    """Commands that wait or run; one more is answered with 503."""

    allow: tuple[Rule, ...] = ALLOW
    """What clients may do: method and path. `*` in a path is one segment, `**` the rest."""

    deny: tuple[Rule, ...] = DENY
    """What they may not do, though it is allowed. Default: what changes Asterisk itself."""

    applications: dict[str, PolicySettings] = Field(default={})
    """By application: what its dialogs may do, instead of `allow` and `deny`; those hold for
    commands of dialogs that no ingest knows."""

    scope: Literal["server", "dialog"] = "server"
    """What commands may touch: all objects of the server, or those of their dialog only."""

    stored_recordings: Literal["all", "own", "none"] = "all"
    """Which stored recordings commands may read, play, copy and delete: `own` are those that the
    dialog has made itself."""
