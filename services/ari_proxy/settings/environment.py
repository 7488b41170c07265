"""Settings of the environment: `ARI_PROXY_<GROUP>__<NAME>`, in whatever case."""

import json
import os
import re
from collections.abc import Mapping
from typing import Any, Final, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from . import names

PREFIX: Final = "ARI_PROXY_"
#: Not settings: the command line's --config, and what the tests' servers must not be missing.
_OTHERS: Final = frozenset({f"{PREFIX}CONFIG", f"{PREFIX}REQUIRE"})
#: What Kubernetes tells a pod of a Service whose name begins with ari-proxy, unless the pod says
#: enableServiceLinks: false (kubernetes.io/docs/concepts/services-networking/service, "Environment
#: variables").
_OF_A_SERVICE: Final = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_A_SERVICE: Final = re.compile(r"(tcp|udp|sctp)://.*")


class Environment(EnvSettingsSource):
    """The variables that are settings."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        known = {name.lower() for name in _split(os.environ, settings.model_fields)[0]}
        self.env_vars = {name: value for name, value in self.env_vars.items() if name in known}

    def decode_complex_value(
        self,
        field_name: str,  # noqa: ARG002  pydantic's signature
        field: FieldInfo | None,
        value: Any,
    ) -> Any:
        """Read JSON, or a list with commas; what is neither is refused as any other bad value."""
        if value.lstrip().startswith(("[", "{")):
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                return value
        if field is not None and get_origin(field.annotation) is tuple:
            return [item.strip() for item in value.split(",") if item.strip()]
        return value


def variable(path: names.Path) -> str:
    """Return the name of a setting's variable."""
    return PREFIX + "__".join(path).upper()


def unknown_variables(fields: Mapping[str, FieldInfo]) -> list[str]:
    """Return a message for each variable with our prefix that names no setting."""
    known = [variable(path).removeprefix(PREFIX) for path, _ in names.paths(fields)]
    lines = []
    for name in _split(os.environ, fields)[1]:
        meant = names.nearest(name[len(PREFIX) :], known)
        hint = names.hint(meant and PREFIX + meant)
        lines.append(f"environment variable {name}: there is no such setting{hint}")
    return lines


def _split(
    environ: Mapping[str, str], fields: Mapping[str, FieldInfo]
) -> tuple[list[str], list[str]]:
    """Return the variables that are settings, and those that look like some."""
    known, tables = set[str](), []
    for path, info in names.paths(fields):
        known.add(variable(path))
        if get_origin(info.annotation) is dict:
            tables.append(f"{variable(path)}__")
    settings, unknown = [], []
    for name, value in sorted(environ.items()):
        upper = name.upper()
        if upper in known or upper.startswith(tuple(tables)):
            settings.append(name)
        elif upper.startswith(PREFIX) and not _is_of_others(upper, value):
            unknown.append(name)
    return settings, unknown


def _is_of_others(name: str, value: str) -> bool:
    if name in _OTHERS or _OF_A_SERVICE.fullmatch(name):
        return True
    return name.endswith("_PORT") and bool(_PORT_OF_A_SERVICE.fullmatch(value))
