"""What an Asterisk that opens the websockets needs: Services and its configuration. Sans-I/O."""

from ari_proxy.ari import asterisk_config, versions
from ari_proxy.ari.asterisk_config import AsteriskConfig, HttpServer, ListenerAddress
from ari_proxy.operator import names
from ari_proxy.operator.decide.servers import DesiredServer
from ari_proxy.operator.model import OutboundSpec
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import Object

from .component import DesiredComponent, head
from .config_map import ARI_PORT, transport
from .pod_template import ARI_PORT_NAME


def services(desired: DesiredComponent) -> list[Object]:
    """Return the Services to which Asterisk servers connect: one for each that does.

    It has pods that are not ready, too: ingest becomes ready by Asterisk's connection. Of several
    ingests only the active one accepts it, and Asterisk tries until it has found that one.
    """
    port = {
        "name": ARI_PORT_NAME,
        "port": ARI_PORT,
        "targetPort": ARI_PORT_NAME,
        "protocol": "TCP",
    }
    spec = {
        "type": "ClusterIP",
        "publishNotReadyAddresses": True,
        "selector": desired.selector,
        "ports": [port],
    }
    return [
        {**desired.head_of(server, "v1", "Service"), "spec": spec}
        for server in desired.slot.servers
        if server.outbound is not None
    ]


def asterisk_config_maps(desired: DesiredComponent) -> list[Object]:
    """Return the ConfigMaps with Asterisk's configuration files, once for each server.

    The password is not in them: the files include it from a file that Asterisk's pod mounts beside.
    """
    if desired.component != "command":
        return []
    return [
        _config_map(desired, server, server.outbound)
        for server in desired.slot.servers
        if server.outbound is not None
    ]


def _config_map(desired: DesiredComponent, server: DesiredServer, outbound: OutboundSpec) -> Object:
    proxy = desired.proxy
    name = names.asterisk_config(proxy.metadata.name, server.name)
    slot = desired.slot.name if desired.slot.is_shared else ""
    labels = names.labels(proxy.metadata.name, server=server.name, slot=slot)
    return {
        **head(proxy, "v1", "ConfigMap", name, labels),
        "data": dict(asterisk_config.files(_described(desired, server, outbound))),
    }


def _described(
    desired: DesiredComponent, server: DesiredServer, outbound: OutboundSpec
) -> AsteriskConfig:
    return AsteriskConfig(
        version=versions.parsed(outbound.asterisk_version),
        server_id=server.server_id,
        applications=server.applications,
        user=outbound.username,
        subscribe_all=server.subscribe_all,
        http=None if transport(desired, server) == "websocket" else _http(desired, server),
        listener=_listener(desired, server, outbound),
    )


def _http(desired: DesiredComponent, server: DesiredServer) -> HttpServer:
    # While one is replaced, there is one more.
    executors = _executors(desired)[1] + 1
    connections = desired.proxy.spec.command.max_in_flight * executors
    return HttpServer(url=server.rest_url, connections=connections)


def _listener(
    desired: DesiredComponent, server: DesiredServer, outbound: OutboundSpec
) -> ListenerAddress:
    each = 0 if transport(desired, server) == "http" else desired.proxy.spec.command.websockets
    least, most = _executors(desired)
    return ListenerAddress(
        events_url=_url(desired, server, "ingest"),
        commands_url=_url(desired, server, "command"),
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


def _url(desired: DesiredComponent, server: DesiredServer, component: Component) -> str:
    proxy = desired.proxy.metadata
    outbound = server.outbound
    scheme = "wss" if outbound and outbound.certificate_secret_ref else "ws"
    name = names.workload(proxy.name, component, server.name)
    return f"{scheme}://{name}.{proxy.namespace}.svc:{ARI_PORT}"
