"""The ConfigMap of a component: the settings of docs/reference/settings.md. Sans-I/O."""

import json
from collections.abc import Mapping
from typing import Any, Final

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.servers import DesiredServer
from ari_proxy.operator.model import AriProxy, NatsSpec, RabbitMqSpec
from ari_proxy.operator.objects import Object
from ari_proxy.operator.state import SETTINGS_FILE

from .component import DesiredComponent

#: Where a pod mounts its settings.
DIRECTORY: Final = "/etc/ari-proxy/config"
ADMIN_PORT: Final = 9797
#: Of what shows calls; the operator does not need it.
CALLS_PORT: Final = 9798
#: Where Asterisk's outbound websockets arrive.
ARI_PORT: Final = 8089
#: The part of the grace period that is left for the shutdown after the drain.
_END_SECONDS: Final = 10
#: What the servers of a shared pod may keep together while the bus is away: half of its memory.
_BUFFERS_BYTES: Final = 256 * 1024 * 1024
_LEAST_BUFFER_BYTES: Final = 4 * 1024 * 1024


def config_map(desired: DesiredComponent) -> Object:
    """Return the ConfigMap with the component's settings."""
    found = {**desired.head("v1", "ConfigMap"), "data": {SETTINGS_FILE: text(desired)}}
    if desired.slot.is_shared:
        server_ids = {server.name: server.server_id for server in desired.slot.servers}
        server_ids |= {server.name: server.server_id for server in desired.kept}
        annotations = {names.SERVERS: json.dumps(server_ids, sort_keys=True)}
        found["metadata"]["annotations"] = annotations
    return found


def text(desired: DesiredComponent) -> str:
    """Return the settings file."""
    return encoded(settings(desired))


def encoded(settings: Mapping[str, Any]) -> str:
    """Return settings as the text of their file; its fingerprint starts new pods."""
    return json.dumps(settings, indent=2) + "\n"


def settings(desired: DesiredComponent) -> dict[str, Any]:
    """Return the settings by group, as in the settings file."""
    return _of_several(desired) if desired.slot.is_shared else _of_one(desired)


def _of_one(desired: DesiredComponent) -> dict[str, Any]:
    (server,) = desired.slot.servers
    groups = _merged(
        {"ari": _ari(server)},
        _process(desired),
        _component(desired, transport(desired, server)),
        _lease(desired, server),
        secrets.settings(secrets.needed(desired.proxy, server)),
    )
    return {"server_id": server.server_id, "applications": list(server.applications), **groups}


def _of_several(desired: DesiredComponent) -> dict[str, Any]:
    proxy = desired.proxy
    buffer_bytes = max(_LEAST_BUFFER_BYTES, _BUFFERS_BYTES // proxy.spec.servers_per_pod)
    groups = _merged(
        _process(desired),
        {"bus": {"buffer_bytes": buffer_bytes}},
        _component(desired, proxy.spec.command.transport.lower()),
        secrets.settings(secrets.of_bus(proxy)),
    )
    servers = [_entry(desired, server) for server in desired.slot.servers]
    servers += [server.settings for server in desired.kept]
    # The order in the spec is no difference.
    return {**groups, "servers": sorted(servers, key=lambda server: server["server_id"])}


def _entry(desired: DesiredComponent, server: DesiredServer) -> dict[str, Any]:
    """Return what one of several servers has of its own."""
    groups = _merged(
        {"ari": _ari(server)},
        _lease(desired, server),
        _own_transport(desired, server),
        secrets.settings(secrets.of_shared(server)),
    )
    return {"server_id": server.server_id, "applications": list(server.applications), **groups}


def _process(desired: DesiredComponent) -> dict[str, Any]:
    """Return what all servers of a pod have in common, whatever the component."""
    proxy = desired.proxy
    grace = desired.workload.termination_grace_period_seconds
    return {
        "bus": _bus(proxy),
        "admin": {"host": "::", "port": ADMIN_PORT},  # for probes and scrapes, of both families
        "log": {
            "level": proxy.spec.logging.level.lower(),
            "format": proxy.spec.logging.format.lower(),
        },
        "runtime": {"drain_seconds": max(0, grace - _END_SECONDS)},
        **_traces(proxy),
    }


def _component(desired: DesiredComponent, command_transport: str) -> dict[str, Any]:
    """Return the component's own part: a change for one must not restart the other."""
    is_ingest = desired.component == "ingest"
    return _ingest(desired.proxy) if is_ingest else _command(desired.proxy, command_transport)


def _merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return groups of settings with all that the layers have."""
    found: dict[str, Any] = {}
    for layer in layers:
        for group, values in layer.items():
            found[group] = found.get(group, {}) | values
    return found


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


def _ingest(proxy: AriProxy) -> dict[str, Any]:
    ingest = proxy.spec.ingest
    return {
        "ingest": {
            "listener_seconds": ingest.listener_timeout_seconds,
            "no_listener": ingest.no_listener.lower(),
            "silence_seconds": ingest.silence_timeout_seconds,
            "claim": ingest.claim,
        },
        "admin": {"console": ingest.console, "calls_port": CALLS_PORT},
    }


def _lease(desired: DesiredComponent, server: DesiredServer) -> dict[str, Any]:
    if not desired.has_lease:
        return {}
    return {
        "lease": {
            "kind": "kubernetes",
            "name": names.workload(desired.proxy.metadata.name, "ingest", server.name),
            "duration_seconds": desired.proxy.spec.ingest.lease_duration_seconds,
        }
    }


def transport(desired: DesiredComponent, server: DesiredServer) -> str:
    """Return what carries commands: without a URL, HTTP can't."""
    is_reached = bool(server.rest_url)
    return desired.proxy.spec.command.transport.lower() if is_reached else "websocket"


def _own_transport(desired: DesiredComponent, server: DesiredServer) -> dict[str, Any]:
    found = transport(desired, server)
    is_own = (
        desired.component == "command" and found != desired.proxy.spec.command.transport.lower()
    )
    return {"command": {"transport": found}} if is_own else {}


def _command(proxy: AriProxy, transport: str) -> dict[str, Any]:
    command = proxy.spec.command
    policy = command.policy
    return {
        "ari": {
            "max_connections": command.max_in_flight,
            "timeout_seconds": command.request_timeout_seconds,
        },
        "command": {
            "transport": transport,
            "websockets": command.websockets,
            "allow": list(policy.allow),
            "deny": list(policy.deny),
            "scope": policy.scope.lower(),
            "stored_recordings": policy.stored_recordings.lower(),
        },
    }
