"""Which servers can't be served by the same pods. Sans-I/O.

The process would refuse its settings, and serve none of them.
"""

from collections.abc import Sequence

from ari_proxy.operator.model import OutboundSpec

from .servers import DesiredServer


def unshareable(servers: Sequence[DesiredServer]) -> str:
    """Return what keeps servers from sharing pods, and what to do; '' if nothing does."""
    return _same_asterisk(servers) or _other_certificates(servers)


def _same_asterisk(servers: Sequence[DesiredServer]) -> str:
    owners: dict[tuple[str, str], str] = {}
    for server in servers:
        for application in server.applications if server.outbound is None else ():
            owner = owners.setdefault((server.rest_url, application), server.name)
            if owner != server.name:
                return (
                    f"{owner} and {server.name} are the application {application} of the same "
                    f"Asterisk, which has one client: remove one of them"
                )
    return ""


def _other_certificates(servers: Sequence[DesiredServer]) -> str:
    """Return which servers want other certificates at the one address of a pod."""
    listening = [
        (server.name, _certificates(server.outbound)) for server in servers if server.outbound
    ]
    for name, certificates in listening:
        first, its_certificates = listening[0]
        if certificates != its_certificates:
            return (
                f"{first} and {name} have other certificates for Asterisk's "
                f"connections, which arrive at one address: give both the same "
                f"certificateSecretRef and clientCaSecretRef, or set pods to PerServer"
            )
    return ""


def _certificates(outbound: OutboundSpec) -> tuple[object, object]:
    return outbound.certificate_secret_ref, outbound.client_ca_secret_ref
