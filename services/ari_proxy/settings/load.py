"""Settings from environment, secret files, configuration file and defaults, in this order."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ari_proxy.protocol import topics

from . import environment, legacy
from .ari import AriSettings
from .bus import BusSettings
from .command import CommandSettings
from .environment import Environment
from .errors import SettingsError
from .fields import Application, ServerId
from .group import Group
from .ingest import IngestSettings, LeaseSettings
from .problems import ServerEntry, describe, problems_of
from .process import AdminSettings, LogSettings, RecorderSettings, RuntimeSettings, TracesSettings

#: Settings of a group, by name; they are checked together with those of all servers.
_Own = Annotated[dict[str, Any], Field(default={}, repr=False)]


class ServerSettings(Group):
    """What one of several servers has of its own, over the settings of all."""

    server_id: ServerId
    """The name of the Asterisk server, as `server_id`."""

    applications: tuple[Application, ...] = Field(default=("ari-proxy",), min_length=1)
    """Its Stasis applications. Default: those of all servers."""

    ari: _Own
    """Its settings `ari`."""

    ingest: _Own
    """Its settings `ingest`."""

    lease: _Own
    """Its settings `lease`."""

    command: _Own
    """Its settings `command`."""


class ServerList(BaseSettings):
    """The servers of a process, from all sources."""

    model_config = SettingsConfigDict(
        env_prefix="ARI_PROXY_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
    #: The values of the configuration file. Sources are made by class, so each file makes a class
    #: of its own; as arguments the values would neither be merged in any case of their keys, nor be
    #: kept apart from pydantic's own arguments.
    file_values: ClassVar[dict[str, Any]] = {}
    #: Whether the configuration file has go-ari-proxy's form.
    is_legacy: ClassVar[bool] = False
    #: Keys of that file that are ignored, a sentence each.
    warnings: ClassVar[tuple[str, ...]] = ()

    #: Of the only server; `Settings` checks it.
    server_id: Any = "asterisk"

    servers: tuple[ServerSettings, ...] | None = Field(default=None, repr=False, exclude=True)
    """Several Asterisk servers in one process, as a list of objects: each has its `server_id`, and
    may have its own `applications` and groups `ari`, `ingest`, `lease` and `command`, whose
    settings win over those of all servers. Default: one server, that of `server_id`."""

    @field_validator("servers")
    @classmethod
    def _check_servers(
        cls, servers: tuple[ServerSettings, ...] | None
    ) -> tuple[ServerSettings, ...] | None:
        """Refuse a list without any, which would mean the one server of the defaults."""
        if servers == ():
            raise ValueError("must have at least one server")
        return servers

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: the first that has a value wins."""
        file = InitSettingsSource(settings_cls, cls.file_values)
        return (init_settings, Environment(settings_cls), file)


class Settings(ServerList):
    """All settings of ari-proxy for one server."""

    model_config = SettingsConfigDict(extra="forbid")

    server_id: ServerId = "asterisk"
    """The name of the Asterisk server: letters, digits, `-` and `_`; the same at each start."""

    applications: tuple[Application, ...] = Field(default=("ari-proxy",), min_length=1)
    """The Stasis applications to serve."""

    ari: AriSettings = AriSettings()
    bus: BusSettings = BusSettings()
    ingest: IngestSettings = IngestSettings()
    lease: LeaseSettings = LeaseSettings()
    command: CommandSettings = CommandSettings()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
    recorder: RecorderSettings = RecorderSettings()
    traces: TracesSettings = TracesSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @property
    def admin_port_may_move(self) -> bool:
        """Whether the admin API may take another port: go-ari-proxy had none to configure."""
        return self.is_legacy and "port" not in self.admin.model_fields_set

    @model_validator(mode="after")
    def _check_applications(self) -> Self:
        """Refuse an application with a name that is also a topic of ari-proxy."""
        for name in self.applications if self.bus.kind == "RABBITMQ" else ():
            if name.startswith(topics.RESERVED):
                reserved = ", ".join(topics.RESERVED)
                raise ValueError(f"applications: {name!r} must not begin with one of {reserved}")
        return self

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        self.lease.check_server(self.server_id)
        return self


@dataclass(frozen=True, slots=True)
class Sources:
    """The environment and a configuration file, with what the command line says."""

    #: The file's path, or `the environment`.
    name: str
    file: legacy.Translation
    is_legacy: bool
    overrides: Mapping[str, Any]

    @classmethod
    def read(cls, config: Path | None, overrides: Mapping[str, object]) -> Self:
        """Read the file.

        Raises:
            SettingsError: it can't be read, or is no JSON object.
        """
        content = read_file(config) if config else {}
        is_legacy = legacy.is_legacy(content)
        file = legacy.Translation(content)
        if is_legacy:
            file = legacy.translate(content, frozenset(Settings.model_fields))
        return cls(str(config) if config else "the environment", file, is_legacy, overrides)

    def check(self) -> None:
        """Refuse unknown names.

        Raises:
            SettingsError: of the environment, or what a file in go-ari-proxy's form can't have.
        """
        found = environment.unknown_variables(Settings.model_fields)
        found += [self.described(name, message) for name, message in self.file.problems.items()]
        if found:
            raise SettingsError(found)

    def servers(self) -> ServerList:
        """Return which servers there are.

        Raises:
            ValidationError: they can't be used.
        """
        listed: ServerList = self._made(ServerList)()
        return listed

    def settings(self, own: Mapping[str, object] | None = None) -> Settings:
        """Return all settings, with what a server has of its own.

        Raises:
            ValidationError: they can't be used.
        """
        made: Settings = self._made(Settings)(**{**(own or {}), **self.overrides})
        return made

    def _made(self, base: type[Any]) -> Callable[..., Any]:
        """Return a class of settings that has the file among its sources."""
        own = {
            "file_values": self.file.values,
            "is_legacy": self.is_legacy,
            "warnings": tuple(f"{self.name}: {warning}" for warning in self.file.warnings),
            "__module__": __name__,
        }
        return type(base.__name__, (base,), own)

    def described(self, name: str, message: str) -> str:
        """Return a problem with a setting as a line."""
        return describe(name, message, self.name, is_legacy=self.is_legacy)

    def problems_of(self, error: ValidationError, entry: ServerEntry | None = None) -> list[str]:
        """Return a line for each bad value; `entry` is the server whose settings they are."""
        fields = Settings.model_fields
        return problems_of(error, self.name, fields, is_legacy=self.is_legacy, entry=entry)


def load(config: Path | None = None, **overrides: object) -> Settings:
    """Return the effective settings of one server.

    Args:
        config: a JSON file in go-ari-proxy's form or in ours.
        overrides: groups or names that win over all sources (the command line's).

    Raises:
        SettingsError: with the place of every bad value.
    """
    sources = Sources.read(config, overrides)
    found: list[str] = []
    settings = None
    try:
        sources.check()
    except SettingsError as error:
        found += error.problems
    try:
        settings = sources.settings()
    except ValidationError as error:
        found += sources.problems_of(error)
    if settings is None or found:
        raise SettingsError(found)
    return settings


def read_file(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file; of a key that comes twice, the last one.

    Raises:
        SettingsError: it can't be read, or is no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_in_order)
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{path}: this is not JSON: {error}"]) from error
    if not isinstance(config, dict):
        raise SettingsError([f"{path}: must hold a JSON object"])
    return config


def _in_order(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys stand where they stood last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.pop(key, None)
        found[key] = value
    return found
