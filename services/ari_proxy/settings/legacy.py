"""go-ari-proxy's config.json: its keys, translated to ours."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
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
            bus |= bus_address(value).settings()
        elif key == "queue":
            if value:  # Executors compete for commands even where the original was told no queue.
                bus["queue"] = value
        else:
            bus[key] = value
    return bus


@dataclass(frozen=True, slots=True, kw_only=True)
class BusAddress:
    """Where a bus is and, apart from that, an account there."""

    urls: tuple[str, ...]
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: NATS's, where a URL has no password.
    token: str = field(default="", repr=False)

    def settings(self) -> dict[str, object]:
        """Return what there is of it, by the names of the settings."""
        return {name: part for name, part in asdict(self).items() if part}


def bus_address(text: str) -> BusAddress:
    """Return the URLs of a comma-separated list and, apart from them, their credentials."""
    address = BusAddress(urls=())
    for url in text.split(","):
        parts = urlsplit(url.strip())
        account, _, host = parts.netloc.rpartition("@")
        address = replace(address, urls=(*address.urls, urlunsplit(parts._replace(netloc=host))))
        user, colon, password = account.partition(":")
        if colon:
            address = replace(address, user=unquote(user), password=unquote(password))
        elif user:
            address = replace(address, token=unquote(user))
    return address
