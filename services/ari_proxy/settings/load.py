"""Settings from environment, secret files, configuration file and defaults, in this order."""

import json
import os
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from ari_proxy.protocol import topics

from . import legacy
from .errors import SettingsError
from .groups import (
    AdminSettings,
    ApplicationField,
    AriSettings,
    BusSettings,
    CommandSettings,
    IngestSettings,
    LeaseSettings,
    LogSettings,
    RuntimeSettings,
    ServerIdField,
    TracesSettings,
)


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
    #: Of the configuration file in use; set around the construction, since sources are made by
    #: class.
    file_values: ClassVar[dict[str, Any]] = {}

    server_id: ServerIdField = "asterisk"
    """The name of the Asterisk server: one subject token, the same at each start."""

    applications: tuple[ApplicationField, ...] = Field(default=("ari-proxy",), min_length=1)
    """The Stasis applications to serve."""

    ari: AriSettings = AriSettings()
    bus: BusSettings = BusSettings()
    ingest: IngestSettings = IngestSettings()
    lease: LeaseSettings = LeaseSettings()
    command: CommandSettings = CommandSettings()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @model_validator(mode="after")
    def _check_applications(self) -> Self:
        """Refuse an application whose queue would be taken for another topic."""
        for name in self.applications if self.bus.kind == "RABBITMQ" else ():
            if name.startswith(topics.RESERVED):
                reserved = ", ".join(topics.RESERVED)
                raise ValueError(f"applications: {name!r} must not begin with one of {reserved}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: the first that has a value wins."""
        return (init_settings, env_settings, InitSettingsSource(settings_cls, cls.file_values))


def load(config: Path | None = None, **overrides: object) -> Settings:
    """Return the effective settings.

    Args:
        config: a JSON file in go-ari-proxy's form or in ours.
        overrides: groups or names that win over all sources (the command line's).

    Raises:
        SettingsError: with the place of every bad value.
    """
    content = read_file(config) if config else {}
    is_legacy = legacy.is_legacy(content)
    values = legacy.translate(content) if is_legacy else content
    source = str(config) if config else "the environment"
    sourced = type("Settings", (Settings,), {"file_values": values, "__module__": __name__})
    try:
        return Settings.model_validate(sourced(**overrides))
    except ValidationError as error:
        raise SettingsError(problems(error, source, is_legacy=is_legacy)) from error
    except SourceError as error:
        raise SettingsError([f"the environment: {error}"]) from error


def read_file(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises:
        SettingsError: it can't be read, or is no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from error
    except ValueError as error:
        raise SettingsError([f"{path}: this is not JSON: {error}"]) from error
    if not isinstance(config, dict):
        raise SettingsError([f"{path}: must hold a JSON object"])
    return config


def problems(error: ValidationError, source: str, *, is_legacy: bool = False) -> list[str]:
    """Return a line per bad value: which one, where it stands, and what is wrong with it."""
    return [_problem(item, source, is_legacy=is_legacy) for item in error.errors()]


def _problem(item: Any, source: str, *, is_legacy: bool) -> str:
    place = ".".join(str(part) for part in item["loc"])
    variable = "ARI_PROXY_" + "__".join(str(part) for part in item["loc"]).upper()
    if variable in os.environ:
        where = f"environment variable {variable}"
    else:
        key = legacy.place_of(place) if is_legacy else ""
        where = f"{key} of {source}" if key else source
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "there is no such setting"
    return f"{place} ({where}): {message}".lstrip()


def secret(value: SecretStr, file: str) -> str:
    """Return a secret, from its file if it has one.

    Raises:
        SettingsError: the file can't be read.
    """
    return named(value.get_secret_value(), file)


def named(value: str, file: str) -> str:
    """Return a value, from its file if it has one.

    Raises:
        SettingsError: the file can't be read.
    """
    if not file:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError([f"the secret's file {file}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"the secret's file {file}: this is no UTF-8 text"]) from error


def as_text(settings: Settings) -> str:
    """Return the effective settings as JSON, secrets masked."""
    return json.dumps(settings.model_dump(mode="json"), indent=2)
