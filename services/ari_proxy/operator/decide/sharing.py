"""Which servers can't be served by the same pods. Sans-I/O.

The process would refuse its settings, and serve none of them.
"""

from collections.abc import Sequence

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
    listening = [server for server in servers if server.outbound is not None]
    for server in listening:
        if _certificates(server) != _certificates(listening[0]):
            return (
                f"{listening[0].name} and {server.name} have other certificates for Asterisk's "
                f"connections, which arrive at one address: give both the same "
                f"certificateSecretRef and clientCaSecretRef, or set pods to PerServer"
            )
    return ""


def _certificates(server: DesiredServer) -> tuple[object, object]:
    outbound = server.outbound
    if outbound is None:
        return None, None
    return outbound.certificate_secret_ref, outbound.client_ca_secret_ref
