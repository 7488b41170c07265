"""NATS's client, made from settings."""

import ssl
from dataclasses import replace

from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.settings.files import read_secret
from ari_proxy.settings.load import Settings

from .bus_options import address_of, common_options
from .rereading import last_good
from .tls import RotatingTls


def nats_bus(settings: Settings, component: str) -> NatsBus:
    """Return a client of NATS; arguments and errors are those of `factories.bus`."""
    tls = RotatingTls("bus", settings.bus)
    options = last_good(lambda: _options(settings, component, tls.current()))
    return NatsBus(replace(options(), renewed=options))


def _options(settings: Settings, component: str, tls: ssl.SSLContext | None) -> NatsOptions:
    options = settings.bus
    address = address_of(options)
    return NatsOptions(
        **common_options(settings, component, tls, address),
        token=read_secret("bus.token_file", options.token, options.token_file) or address.token,
        credentials_file=options.credentials_file,
        nkey_seed_file=options.nkey_seed_file,
        inbox_prefix=options.inbox_prefix,
        tls_handshake_first=options.tls_handshake_first,
    )
