"""Settings from environment, secret files, configuration file and defaults, in this order."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ari_proxy.protocol import topics

from . import environment, legacy, names
from .environment import Environment
from .errors import SettingsError
from .fields import Application, ServerId
from .groups import (
    AdminSettings,
    AriSettings,
    BusSettings,
    CommandSettings,
    IngestSettings,
    LeaseSettings,
    LogSettings,
    RuntimeSettings,
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
    traces: TracesSettings = TracesSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    _warnings: tuple[str, ...] = PrivateAttr(default=())
    _is_legacy: bool = PrivateAttr(default=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What in the configuration file is of no use, a sentence each."""
        return self._warnings

    @property
    def admin_port_may_move(self) -> bool:
        """Whether another one does as well: the original had none, and nobody has asked for it."""
        return self._is_legacy and "port" not in self.admin.model_fields_set

    @model_validator(mode="after")
    def _check_applications(self) -> Self:
        """Refuse an application whose queue would be taken for another topic."""
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
    sourced = type("Settings", (Settings,), {"file_values": file.values, "__module__": __name__})
    found = environment.problems(Settings.model_fields)
    found += [_line(name, message, source, is_legacy) for name, message in file.problems.items()]
    try:
        settings = Settings.model_validate(sourced(**overrides))
    except ValidationError as error:
        found += problems(error, source, Settings.model_fields, is_legacy=is_legacy)
        raise SettingsError(found) from error
    if found:
        raise SettingsError(found)
    settings._is_legacy = is_legacy  # noqa: SLF001  of this module
    settings._warnings = tuple(f"{source}: {warning}" for warning in file.warnings)  # noqa: SLF001
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


#: By pydantic's type of an error: what it means to whoever writes settings.
_MEANINGS: Final = {
    "extra_forbidden": "there is no such setting",
    "tuple_type": 'must be a list: ["a", "b"], in the environment also a,b',
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
}


def problems(
    error: ValidationError,
    source: str,
    fields: Mapping[str, FieldInfo],
    *,
    is_legacy: bool = False,
) -> list[str]:
    """Return a line per bad value: which one, where it stands, and what is wrong with it."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        message = _MEANINGS.get(item["type"], item["msg"].removeprefix("Value error, "))
        if item["type"] == "extra_forbidden":
            message += names.hint(_meant(name, fields))
        lines.append(_line(name, message, source, is_legacy))
    return lines


def _meant(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return which setting is meant, by its path or, from anywhere, by its own name alone."""
    known = {".".join(path): path[-1] for path, _ in names.paths(fields)}
    by_path = names.nearest(name, known)
    if by_path:
        return by_path
    own = names.nearest(name.rpartition(".")[2], known.values())
    return next((path for path, last in known.items() if last == own), "")


def _line(name: str, message: str, source: str, is_legacy: bool) -> str:  # noqa: FBT001  of this module
    variable = environment.variable(tuple(name.split(".")))
    if variable in os.environ:
        where = f"environment variable {variable}"
    else:
        key = legacy.place_of(name) if is_legacy else ""
        where = f"{key} of {source}" if key else source
    return f"{name} ({where}): {message}".lstrip()


def secret(setting: str, value: SecretStr, file: str) -> str:
    """Return a secret, from its file if it has one.

    Raises:
        SettingsError: the file can't be read, or is empty.
    """
    return named(setting, value.get_secret_value(), file)


def named(setting: str, value: str, file: str) -> str:
    """Return a value, from its file if it has one.

    Args:
        setting: the name of the one with the file.
        value: what holds without a file.
        file: its path, or ''.

    Raises:
        SettingsError: the file can't be read, or is empty.
    """
    if not file:
        return value
    text = text_of(setting, file)
    if not text:
        raise SettingsError([f"{setting} {file}: the file is empty"])
    return text


def text_of(setting: str, file: str) -> str:
    """Return the text of a file, without the end of its last line.

    Raises:
        SettingsError: it can't be read.
    """
    try:
        return bytes_of(setting, file).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError([f"{setting} {file}: this is no UTF-8 text"]) from error


def bytes_of(setting: str, file: str) -> bytes:
    """Return the content of a file.

    Args:
        setting: the name of the one with the file.
        file: its path.

    Raises:
        SettingsError: it can't be read.
    """
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError([f"{setting} {file}: {error.strerror}"]) from error


def as_text(settings: Settings) -> str:
    """Return the effective settings as JSON, secrets masked."""
    return json.dumps(settings.model_dump(mode="json"), indent=2)
