"""The operator's settings, from the environment: `ARI_PROXY_<NAME>`, as those of the services."""

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from ari_proxy.__about__ import __version__

from .errors import SettingsError
from .groups import AdminSettings, LogSettings
from .load import problems


class OperatorSettings(BaseSettings):
    """What the operator needs to know; all else stands in the resources."""

    model_config = SettingsConfigDict(
        env_prefix="ARI_PROXY_",
        env_nested_delimiter="__",
        frozen=True,
        use_attribute_docstrings=True,
    )

    namespaces: tuple[str, ...] = ()
    """Namespaces to look after. Default: all."""

    ingest_image: str = f"ari-proxy-ingest:{__version__}"
    """Image of ingests whose resource names none. Default: as `make images` calls it."""

    command_image: str = f"ari-proxy-command:{__version__}"
    """Image of executors whose resource names none."""

    workers: int = Field(default=4, ge=1, le=64)
    """Resources that are looked at side by side."""

    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()


def load_operator() -> OperatorSettings:
    """Return the effective settings.

    Raises:
        SettingsError: with the place of every bad value.
    """
    try:
        return OperatorSettings()
    except ValidationError as error:
        raise SettingsError(problems(error, "the environment")) from error
    except SourceError as error:
        raise SettingsError([f"the environment: {error}"]) from error
