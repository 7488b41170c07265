"""The ConfigMap of a component: the settings of docs/reference/settings.md. Sans-I/O."""

import json
from typing import Any, Final

from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.servers import DesiredServer
from ari_proxy.operator.model import AriProxy, NatsSpec, RabbitMqSpec
from ari_proxy.operator.objects import Object

from .component import DesiredComponent

#: Where a pod mounts its settings.
DIRECTORY: Final = "/etc/ari-proxy/config"
FILE: Final = "config.json"
ADMIN_PORT: Final = 9797
#: Where Asterisk's outbound websockets arrive.
ARI_PORT: Final = 8089
#: The part of the grace period that is left for the shutdown after the drain.
_END_SECONDS: Final = 10


def config_map(desired: DesiredComponent) -> Object:
    """Return the ConfigMap with the component's settings."""
    return {**desired.head("v1", "ConfigMap"), "data": {FILE: text(desired)}}


def text(desired: DesiredComponent) -> str:
    """Return the settings file."""
    return json.dumps(settings(desired), indent=2) + "\n"


def settings(desired: DesiredComponent) -> dict[str, Any]:
    """Return the settings by group, as in the settings file."""
    proxy, server = desired.proxy, desired.server
    grace = desired.workload.termination_grace_period_seconds
    groups: dict[str, Any] = {
        "ari": _ari(server),
        "bus": _bus(proxy),
        "admin": {"host": "::", "port": ADMIN_PORT},  # for probes and scrapes, of both families
        "log": {
            "level": proxy.spec.logging.level.lower(),
            "format": proxy.spec.logging.format.lower(),
        },
        "runtime": {"drain_seconds": max(0, grace - _END_SECONDS)},
        **_traces(proxy),
    }
    # Each component gets only its own part: a change for one must not restart the other.
    for group, values in (
        _ingest(desired) if desired.component == "ingest" else _command(desired)
    ).items():
        groups[group] = groups.get(group, {}) | values
    for group, files in secrets.settings(desired.secret_files).items():
        groups[group] |= files
    return {"server_id": server.server_id, "applications": list(server.applications), **groups}


def _ari(server: DesiredServer) -> dict[str, Any]:
    listening = {"connection": "outbound", "listen": f"[::]:{ARI_PORT}"}
    return {
        **(listening if server.outbound else {"websocket_url": server.websocket_url}),
        "subscribe_all": server.subscribe_all,
        **_without_empty(
            rest_url=server.rest_url, server_name=server.tls and server.tls.server_name
        ),
    }


def _bus(proxy: AriProxy) -> dict[str, Any]:
    bus = proxy.spec.bus
    if bus.nats is not None:
        return {"kind": "NATS", **_nats(bus.nats)}
    return {"kind": "RABBITMQ", **(_rabbitmq(bus.rabbitmq) if bus.rabbitmq else {})}


def _nats(nats: NatsSpec) -> dict[str, Any]:
    asked_for = _without_empty(
        urls=list(nats.servers),
        server_name=nats.tls and nats.tls.server_name,
        tls_handshake_first=nats.tls_handshake_first,
        inbox_prefix=nats.inbox_prefix,
    )
    return {"queue": nats.queue_group, **asked_for}


def _rabbitmq(rabbitmq: RabbitMqSpec) -> dict[str, Any]:
    return _without_empty(
        server_name=rabbitmq.tls and rabbitmq.tls.server_name,
        dialog_ids=rabbitmq.dialog_ids and rabbitmq.dialog_ids.lower(),
        persistent=rabbitmq.persistent,
    )


def _without_empty(**settings: object) -> dict[str, object]:
    """Omit settings without a value: an earlier image refuses settings that it does not know."""
    return {name: value for name, value in settings.items() if value}


def _traces(proxy: AriProxy) -> dict[str, Any]:
    traces = proxy.spec.monitoring.traces
    if traces is None:
        return {}
    ratio = traces.sampling_percentage / 100
    return {"traces": {"enabled": True, "endpoint": traces.endpoint, "ratio": ratio}}


def _ingest(desired: DesiredComponent) -> dict[str, Any]:
    ingest = desired.proxy.spec.ingest
    groups: dict[str, Any] = {
        "ingest": {
            "listener_seconds": ingest.listener_timeout_seconds,
            "no_listener": ingest.no_listener.lower(),
            "silence_seconds": ingest.silence_timeout_seconds,
            "claim": ingest.claim,
        },
        "admin": {"console": ingest.console},
    }
    if desired.has_lease:
        groups["lease"] = {
            "kind": "kubernetes",
            "name": desired.name,
            "duration_seconds": ingest.lease_duration_seconds,
        }
    return groups


def transport(desired: DesiredComponent) -> str:
    """Return what carries commands: without a URL, HTTP can't."""
    is_reached = bool(desired.server.rest_url)
    return desired.proxy.spec.command.transport.lower() if is_reached else "websocket"


def _command(desired: DesiredComponent) -> dict[str, Any]:
    command = desired.proxy.spec.command
    policy = command.policy
    return {
        "ari": {
            "max_connections": command.max_in_flight,
            "timeout_seconds": command.request_timeout_seconds,
        },
        "command": {
            "transport": transport(desired),
            "websockets": command.websockets,
            "allow": list(policy.allow),
            "deny": list(policy.deny),
            "scope": policy.scope.lower(),
            "stored_recordings": policy.stored_recordings.lower(),
        },
    }
