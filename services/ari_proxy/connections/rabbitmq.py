"""RabbitMQ's client, made from settings."""

import ssl
from dataclasses import replace

from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings

from .bus_options import address_of, common_options
from .rereading import last_good
from .tls import RotatingTls


def rabbitmq_bus(settings: Settings, component: str) -> RabbitMqBus:
    """Return a client of RabbitMQ; arguments and errors are those of `factories.bus`."""
    tls = RotatingTls("bus", settings.bus)
    options = last_good(lambda: _options(settings, component, tls.current()))
    return RabbitMqBus(replace(options(), renewed=options))


def _options(settings: Settings, component: str, tls: ssl.SSLContext | None) -> RabbitMqOptions:
    declares = component in {"ingest", "standalone"}
    return RabbitMqOptions(
        **common_options(settings, component, tls, address_of(settings.bus)),
        registry=topics.registry(ServerId(settings.server_id)) if declares else "",
        heartbeat_seconds=settings.bus.heartbeat_seconds,
        persistent=settings.bus.persistent,
        has_certificate=bool(settings.bus.certificate_file),
    )
