"""Settings of command: limits and policies."""

from typing import Final, Literal

from pydantic import Field

from .fields import Rule
from .group import Group

#: By default everything is allowed but what changes Asterisk itself; the operator's default, too.
ALLOW: Final = ("* /**",)
DENY: Final = ("* /asterisk/modules/**", "* /asterisk/config/**")


class PolicySettings(Group):
    """The policy of one application's dialogs."""

    allow: tuple[Rule, ...] = ALLOW
    """Permitted requests: method and path. `*` in a path is one segment, `**` the rest."""

    deny: tuple[Rule, ...] = DENY
    """Exceptions from `allow`."""


class CommandSettings(Group):
    """Commands and what they may do."""

    max_pending: int = Field(default=10_000, ge=1)
    """Maximum number of commands waiting or running; further ones are answered with 503."""

    transport: Literal["auto", "websocket", "http"] = "auto"
    """What carries requests to Asterisk: `auto` uses websockets where it answers requests on them
    (22.4, 20.14 and newer), which costs less, and HTTP for the rest; `websocket` never uses HTTP,
    and refuses what can't travel on a websocket: files, and requests above 65,535 bytes. Where
    Asterisk opens the websockets (`ari.connection`), `auto` uses HTTP only for these."""

    websockets: int = Field(default=4, ge=1, le=32)
    """Number of websockets for requests. Asterisk works on one request of each at a time;
    http.conf's sessionlimit (100) counts those that we open. Of those that Asterisk opens an
    executor takes no more."""

    allow: tuple[Rule, ...] = ALLOW
    """Requests that clients may make: method and path. `*` in a path is one segment, `**` the
    rest."""

    deny: tuple[Rule, ...] = DENY
    """Exceptions from `allow`. Default: what changes Asterisk itself."""

    applications: dict[str, PolicySettings] = Field(default={})
    """Policies by application, instead of `allow` and `deny`; those apply to commands of dialogs
    that no ingest knows."""

    scope: Literal["server", "dialog"] = "server"
    """Objects that commands may use: all of the server, or only those of their dialog."""

    stored_recordings: Literal["all", "own", "none"] = "all"
    """Which stored recordings commands may read, play, copy and delete: `own` are those made by the
    dialog."""
