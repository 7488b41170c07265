"""go-ari-proxy's config.json: its keys, translated to ours."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import SettingsError

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
_PLACES: Final = {f"{group}.{name}": key for key, (group, name) in _KEYS.items()} | {
    "bus.urls": "bus_config.url",
    "bus.queue": "bus_config.queue",
}


def is_legacy(config: _Json) -> bool:
    """Return True if the configuration has a key that only the original's has."""
    return bool({*_KEYS, "bus_config"} & set(config))


def place_of(name: str) -> str:
    """Return where the original's configuration has the setting `name`, like `bus.kind`, or ''."""
    return next((key for ours, key in _PLACES.items() if f"{name}.".startswith(f"{ours}.")), "")


def translate(config: _Json) -> dict[str, object]:
    """Return the original's configuration in our form; our own groups may stand beside its keys.

    Raises:
        SettingsError: `bus_config` is no object.
    """
    groups: dict[str, dict[str, object]] = {}
    result: dict[str, object] = {}
    for key, value in config.items():
        if key in _KEYS:
            group, name = _KEYS[key]
            groups.setdefault(group, {})[name] = value
        elif key == "bus_config":
            groups.setdefault("bus", {}).update(_bus(value))
        elif isinstance(value, Mapping):
            groups.setdefault(key, {}).update(value)
        else:
            result[key] = value
    return result | groups


def _bus(config: object) -> dict[str, object]:
    if not isinstance(config, Mapping):
        raise SettingsError(["bus_config: must be an object with url and queue"])
    bus: dict[str, object] = {}
    for key, value in config.items():
        if key == "url" and isinstance(value, str):
            bus |= bus_address(value)
        elif key == "queue":
            if value:  # Executors compete for commands even where the original was told no queue.
                bus["queue"] = value
        else:
            bus[key] = value
    return bus


def bus_address(text: str) -> dict[str, object]:
    """Return the URLs of a comma-separated list and, apart from them, their credentials."""
    bus: dict[str, object] = {}
    urls = []
    for url in text.split(","):
        parts = urlsplit(url.strip())
        account, _, host = parts.netloc.rpartition("@")
        urls.append(urlunsplit(parts._replace(netloc=host)))
        user, colon, password = account.partition(":")
        if colon:
            bus |= {"user": unquote(user), "password": unquote(password)}
        elif user:
            bus["token"] = unquote(user)
    return bus | {"urls": urls}
