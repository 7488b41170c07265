"""Settings from environment, secret files, configuration file and defaults, in this order."""

import json
from collections.abc import Callable, Iterable
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
from .problems import describe, problems_of
from .process import AdminSettings, LogSettings, RuntimeSettings, TracesSettings

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


class Settings(BaseSettings):
    """All settings of ari-proxy."""

    model_config = SettingsConfigDict(
        env_prefix="ARI_PROXY_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
    #: The values of the configuration file. Sources are made by class, so `load` makes a class of
    #: its own; as arguments the values would neither be merged in any case of their keys, nor be
    #: kept apart from pydantic's own arguments.
    file_values: ClassVar[dict[str, Any]] = {}
    #: Whether that file has go-ari-proxy's form.
    is_legacy: ClassVar[bool] = False
    #: Keys of that file that are ignored, a sentence each.
    warnings: ClassVar[tuple[str, ...]] = ()

    server_id: ServerId = "asterisk"
    """The name of the Asterisk server: letters, digits, `-` and `_`; the same at each start."""

    applications: tuple[Application, ...] = Field(default=("ari-proxy",), min_length=1)
    """The Stasis applications to serve."""

    servers: tuple[ServerSettings, ...] | None = Field(default=None, repr=False, exclude=True)
    """Several Asterisk servers in one process, as a list of objects: each has its `server_id`, and
    may have its own `applications` and groups `ari`, `ingest`, `lease` and `command`, whose
    settings win over those of all servers. Default: one server, that of `server_id`."""

    ari: AriSettings = AriSettings()
    bus: BusSettings = BusSettings()
    ingest: IngestSettings = IngestSettings()
    lease: LeaseSettings = LeaseSettings()
    command: CommandSettings = CommandSettings()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @property
    def admin_port_may_move(self) -> bool:
        """Whether the admin API may take another port: go-ari-proxy had none to configure."""
        return self.is_legacy and "port" not in self.admin.model_fields_set

    @field_validator("servers")
    @classmethod
    def _check_servers(
        cls, servers: tuple[ServerSettings, ...] | None
    ) -> tuple[ServerSettings, ...] | None:
        """Refuse a list without any, which would mean the one server of the defaults."""
        if servers == ():
            raise ValueError("must have at least one server")
        return servers

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


def load(config: Path | None = None, **overrides: object) -> Settings:
    """Return the effective settings.

    Args:
        config: a JSON file in go-ari-proxy's form or in ours.
        overrides: groups or names that win over all sources (the command line's).

    Raises:
        SettingsError: with the place of every bad value.
    """
    content = read_file(config) if config else {}
    file = legacy.Translation(content)
    is_legacy = legacy.is_legacy(content)
    if is_legacy:
        file = legacy.translate(content, frozenset(Settings.model_fields))
    source = str(config) if config else "the environment"
    found = environment.unknown_variables(Settings.model_fields)
    found += [
        describe(name, message, source, is_legacy=is_legacy)
        for name, message in file.problems.items()
    ]
    try:
        settings = _class_of(file, source, is_legacy=is_legacy)(**overrides)
    except ValidationError as error:
        found += problems_of(error, source, Settings.model_fields, is_legacy=is_legacy)
        raise SettingsError(found) from error
    if found:
        raise SettingsError(found)
    return settings


def _class_of(file: legacy.Translation, source: str, *, is_legacy: bool) -> Callable[..., Settings]:
    """Return a class of settings that has this configuration file among its sources."""
    own = {
        "file_values": file.values,
        "is_legacy": is_legacy,
        "warnings": tuple(f"{source}: {warning}" for warning in file.warnings),
        "__module__": __name__,
    }
    return type("Settings", (Settings,), own)


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
