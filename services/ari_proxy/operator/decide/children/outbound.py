"""What an Asterisk that opens the websockets needs: Services and its configuration. Sans-I/O."""

from ari_proxy.ari import asterisk_config, versions
from ari_proxy.ari.asterisk_config import AsteriskConfig, HttpServer, ListenerAddress
from ari_proxy.operator import names
from ari_proxy.operator.model import OutboundSpec
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import Object

from .component import DesiredComponent, head
from .config_map import ARI_PORT, transport
from .pod_template import ARI_PORT_NAME


def service(desired: DesiredComponent) -> Object | None:
    """Return the Service to which Asterisk connects; None if ari-proxy connects to Asterisk.

    It has pods that are not ready, too: ingest becomes ready by Asterisk's connection. Of several
    ingests only the active one accepts it, and Asterisk tries until it has found that one.
    """
    if desired.server.outbound is None:
        return None
    port = {
        "name": ARI_PORT_NAME,
        "port": ARI_PORT,
        "targetPort": ARI_PORT_NAME,
        "protocol": "TCP",
    }
    return {
        **desired.head("v1", "Service"),
        "spec": {
            "type": "ClusterIP",
            "publishNotReadyAddresses": True,
            "selector": desired.selector,
            "ports": [port],
        },
    }


def asterisk_config_map(desired: DesiredComponent) -> Object | None:
    """Return the ConfigMap with Asterisk's configuration files, once for each server.

    The password is not in it: the files include it from a file that Asterisk's pod mounts beside.
    """
    outbound = desired.server.outbound
    if outbound is None or desired.component != "command":
        return None
    proxy, server = desired.proxy, desired.server
    name = names.asterisk_config(proxy.metadata.name, server.name)
    labels = names.labels(proxy.metadata.name, server=server.name)
    return {
        **head(proxy, "v1", "ConfigMap", name, labels),
        "data": dict(asterisk_config.files(_described(desired, outbound))),
    }


def _described(desired: DesiredComponent, outbound: OutboundSpec) -> AsteriskConfig:
    server = desired.server
    return AsteriskConfig(
        version=versions.parsed(outbound.asterisk_version),
        server_id=server.server_id,
        applications=server.applications,
        user=outbound.username,
        subscribe_all=server.subscribe_all,
        http=None if transport(desired) == "websocket" else _http(desired),
        listener=_listener(desired, outbound),
    )


def _http(desired: DesiredComponent) -> HttpServer:
    # While one is replaced, there is one more.
    executors = _executors(desired)[1] + 1
    connections = desired.proxy.spec.command.max_in_flight * executors
    return HttpServer(url=desired.server.rest_url, connections=connections)


def _listener(desired: DesiredComponent, outbound: OutboundSpec) -> ListenerAddress:
    each = 0 if transport(desired) == "http" else desired.proxy.spec.command.websockets
    least, most = _executors(desired)
    return ListenerAddress(
        events_url=_url(desired, "ingest"),
        commands_url=_url(desired, "command"),
        websockets=each * least,
        # The new pod of a rolling update finds one that no other pod has taken.
        spare=each and each * (most - least) + 1,
        wants_certificate=outbound.client_ca_secret_ref is not None,
    )


def _executors(desired: DesiredComponent) -> tuple[int, int]:
    """Return the smallest and the largest number of executors."""
    autoscaling = desired.autoscaling
    least = desired.least_replicas
    return least, least if autoscaling is None else max(least, autoscaling.max_replicas)


def _url(desired: DesiredComponent, component: Component) -> str:
    proxy, server = desired.proxy.metadata, desired.server
    outbound = server.outbound
    scheme = "wss" if outbound and outbound.certificate_secret_ref else "ws"
    name = names.workload(proxy.name, component, server.name)
    return f"{scheme}://{name}.{proxy.namespace}.svc:{ARI_PORT}"
