"""The ConfigMap of a component: its settings, those of docs/reference/settings.md. Pure."""

import json
from typing import Any, Final

from ari_proxy.operator.decide import secrets
from ari_proxy.operator.model import AriProxy, Nats, RabbitMq

from .wanted import Object, Wanted

#: Where a pod has its settings.
DIRECTORY: Final = "/etc/ari-proxy/config"
FILE: Final = "config.json"
ADMIN_PORT: Final = 9797
#: Of the grace period: what remains for the end of the process after its drain.
_END_SECONDS: Final = 10


def config_map(wanted: Wanted) -> Object:
    """Return the ConfigMap with the component's settings."""
    return {**wanted.head("v1", "ConfigMap"), "data": {FILE: text(wanted)}}


def text(wanted: Wanted) -> str:
    """Return the settings as a file."""
    return json.dumps(settings(wanted), indent=2) + "\n"


def settings(wanted: Wanted) -> dict[str, Any]:
    """Return the settings."""
    proxy, server = wanted.proxy, wanted.server
    grace = wanted.workload.termination_grace_period_seconds
    groups: dict[str, Any] = {
        "ari": {
            "websocket_url": server.websocket_url,
            "rest_url": server.rest_url,
            "subscribe_all": server.subscribe_all,
            **_asked_for(server_name=server.tls and server.tls.server_name),
        },
        "bus": _bus(proxy),
        "admin": {"host": "0.0.0.0", "port": ADMIN_PORT},  # noqa: S104  Kubernetes asks
        "log": {
            "level": proxy.spec.logging.level.lower(),
            "format": proxy.spec.logging.format.lower(),
        },
        "runtime": {"drain_seconds": max(0, grace - _END_SECONDS)},
        **_traces(proxy),
    }
    # Each component has its own part only: what changes for one must not restart the other.
    for group, values in (
        _ingest(wanted) if wanted.component == "ingest" else _command(proxy)
    ).items():
        groups[group] = groups.get(group, {}) | values
    for group, files in secrets.settings(wanted.secret_files).items():
        groups[group] |= files
    return {"server_id": server.server_id, "applications": list(server.applications), **groups}


def _bus(proxy: AriProxy) -> dict[str, Any]:
    bus = proxy.spec.bus
    if bus.nats is not None:
        return {"kind": "NATS", **_nats(bus.nats)}
    return {"kind": "RABBITMQ", **(_rabbitmq(bus.rabbitmq) if bus.rabbitmq else {})}


def _nats(nats: Nats) -> dict[str, Any]:
    asked_for = _asked_for(
        urls=list(nats.servers),
        server_name=nats.tls and nats.tls.server_name,
        tls_handshake_first=nats.tls_handshake_first,
        inbox_prefix=nats.inbox_prefix,
    )
    return {"queue": nats.queue_group, **asked_for}


def _rabbitmq(rabbitmq: RabbitMq) -> dict[str, Any]:
    return _asked_for(
        server_name=rabbitmq.tls and rabbitmq.tls.server_name,
        dialog_ids=rabbitmq.dialog_ids and rabbitmq.dialog_ids.lower(),
    )


def _asked_for(**settings: object) -> dict[str, object]:
    """Return the settings that have a value: an earlier image refuses those that it has not."""
    return {name: value for name, value in settings.items() if value}


def _traces(proxy: AriProxy) -> dict[str, Any]:
    traces = proxy.spec.monitoring.traces
    if traces is None:
        return {}
    ratio = traces.sampling_percentage / 100
    return {"traces": {"enabled": True, "endpoint": traces.endpoint, "ratio": ratio}}


def _ingest(wanted: Wanted) -> dict[str, Any]:
    ingest = wanted.proxy.spec.ingest
    groups: dict[str, Any] = {
        "ingest": {
            "listener_seconds": ingest.listener_timeout_seconds,
            "no_listener": ingest.no_listener.lower(),
            "silence_seconds": ingest.silence_timeout_seconds,
        },
        "admin": {"console": ingest.console},
    }
    if wanted.has_lease:
        groups["lease"] = {
            "kind": "kubernetes",
            "name": wanted.name,
            "duration_seconds": ingest.lease_duration_seconds,
        }
    return groups


def _command(proxy: AriProxy) -> dict[str, Any]:
    command, policy = proxy.spec.command, proxy.spec.command.policy
    return {
        "ari": {
            "max_connections": command.max_in_flight,
            "timeout_seconds": command.request_timeout_seconds,
        },
        "command": {
            "allow": list(policy.allow),
            "deny": list(policy.deny),
            "scope": policy.scope.lower(),
            "stored_recordings": policy.stored_recordings.lower(),
        },
    }
