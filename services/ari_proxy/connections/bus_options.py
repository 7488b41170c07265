"""Options of a bus that are the same for both, from settings."""

import ssl
from dataclasses import replace

from ari_proxy.bus.options import CommonOptions
from ari_proxy.settings.bus import BusSettings
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.files import read_secret, read_text, read_value
from ari_proxy.settings.load import Settings
from ari_proxy.settings.urls import BusAddress, UrlError, bus_address, bus_urls


def common_options(
    settings: Settings, component: str, tls: ssl.SSLContext | None, address: BusAddress
) -> CommonOptions:
    """Return what the settings say of either bus.

    Args:
        settings: of all components.
        component: shows in the bus's list of connections.
        tls: how to check the bus's certificate and show ours.
        address: where the bus is.

    Raises:
        SettingsError: a secret can't be read.
    """
    options = settings.bus
    return {
        "urls": address.urls,
        "name": f"ari-proxy {component} {settings.server_id}",
        "buffer_bytes": options.buffer_bytes,
        "user": read_value("bus.user_file", options.user, options.user_file) or address.user,
        "password": read_secret("bus.password_file", options.password, options.password_file)
        or address.password,
        "tls": tls,
        "server_name": options.server_name,
    }


def address_of(options: BusSettings) -> BusAddress:
    """Return where the bus is, and the account that a file with URLs may hold.

    Raises:
        SettingsError: that file can't be read, or holds something else.
    """
    if not options.url_file:
        return BusAddress(urls=options.urls)
    text = read_text("bus.url_file", options.url_file)
    try:
        address = bus_address(text)
        return replace(address, urls=bus_urls(options.kind, address.urls))
    except UrlError as error:
        raise SettingsError([f"bus.url_file {options.url_file}: {error}"]) from error
