"""go-ari-proxy's config.json: its keys, translated to ours.

It is read as the original read it, by Go's encoding/json: keys in any case, the last one of a name
wins, null changes nothing, and keys that nobody knows are left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from . import names
from .bus import BusSettings
from .urls import UrlError, bus_address

_Json = Mapping[str, object]

#: Key of the original → group and name of ours.
_KEYS: Final = {
    "origin": ("ari", "origin"),
    "websocket_url": ("ari", "websocket_url"),
    "stasis_url": ("ari", "rest_url"),
    "ws_user": ("ari", "user"),
    "ws_password": ("ari", "password"),
    "message_bus": ("bus", "kind"),
}
_BUS: Final = "bus_config"
#: Keys that both forms have.
_COMMON: Final = ("server_id", "applications")
#: The key of ours that does not go with the original's.
_SERVERS: Final = "servers"
_PLACES: Final = {f"{group}.{name}": key for key, (group, name) in _KEYS.items()} | {
    "bus.urls": "bus_config.url",
    "bus.queue": "bus_config.queue",
}


def is_legacy(config: _Json) -> bool:
    """Return True if the configuration has a key that only the original's has."""
    return not {*_KEYS, _BUS}.isdisjoint(key.casefold() for key in config)


def place_of(name: str) -> str:
    """Return where the original's configuration has the setting `name`, like `bus.kind`, or ''."""
    return next((key for ours, key in _PLACES.items() if f"{name}.".startswith(f"{ours}.")), "")


@dataclass(frozen=True, slots=True)
class Translation:
    """The original's configuration in our form."""

    values: dict[str, object] = field(default_factory=dict)
    #: By name of the setting: what is wrong with it.
    problems: dict[str, str] = field(default_factory=dict)
    #: Of keys that nobody knows: which they are.
    warnings: list[str] = field(default_factory=list)

    def put(self, group: str, values: _Json) -> None:
        """Add to a group."""
        former = self.values.get(group)
        self.values[group] = {**(former if isinstance(former, dict) else {}), **values}


def translate(config: _Json, groups: frozenset[str]) -> Translation:
    """Return the original's configuration in our form.

    Args:
        config: the file's object.
        groups: ours, which may stand beside its keys.
    """
    result = Translation(problems=_refused(config))
    for key, value in config.items():
        name = key.casefold()
        if name in _KEYS or name in _COMMON or name == _BUS:
            if value is not None:
                _translate(result, name, value)
        elif key in groups and isinstance(value, Mapping):
            result.put(key, value)
        else:
            known = (*_KEYS, *_COMMON, _BUS, *groups)
            result.warnings.append(_ignored(key, names.nearest(key, known)))
    return result


def _refused(config: _Json) -> dict[str, str]:
    """Return what is wrong with keys of ours that do not go with the original's."""
    message = "goes only with ari-proxy's own form of configuration"
    return {_SERVERS: message} if _SERVERS in config else {}


def _translate(result: Translation, name: str, value: object) -> None:
    if name == _BUS:
        _translate_bus(result, value)
    elif name in _COMMON:
        result.values[name] = _text(value)
    else:
        group, ours = _KEYS[name]
        is_kind = name == "message_bus" and isinstance(value, str)
        result.put(group, {ours: str(value).upper() if is_kind else _text(value)})


def _translate_bus(result: Translation, config: object) -> None:
    if not isinstance(config, Mapping):
        result.problems[_BUS] = "must be an object with url and queue"
        return
    for key, value in config.items():
        name = key.casefold()
        if name == "url":
            _translate_url(result, value)
        elif name == "queue":
            if value:  # Executors compete for commands even where the original was told no queue.
                result.put("bus", {name: _text(value)})
        elif key in BusSettings.model_fields:
            result.put("bus", {key: value})
        else:
            meant = names.nearest(key, ("url", "queue", *BusSettings.model_fields))
            result.warnings.append(_ignored(f"{_BUS}.{key}", meant))


def _translate_url(result: Translation, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        result.problems["bus.urls"] = "must be text: one URL, or several with commas"
        return
    try:
        result.put("bus", bus_address(value).settings())
    except UrlError as error:
        result.problems["bus.urls"] = str(error)


def _text(value: object) -> object:
    """Return a whole number as text: names and passwords may look like one."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def _ignored(key: str, meant: str) -> str:
    return f"{key} is ignored, as go-ari-proxy did: there is no such setting{names.hint(meant)}"
