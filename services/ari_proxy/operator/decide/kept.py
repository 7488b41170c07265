"""What pods have of a server whose settings stay as they are in the cluster. Sans-I/O."""

from dataclasses import dataclass
from typing import Any

from ari_proxy.operator.names import Component
from ari_proxy.operator.state import Deployed, Observed

from . import secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptServer:
    """One of the servers of a slot, for one component."""

    name: str
    server_id: str
    #: Its entry in the settings.
    settings: dict[str, Any]
    files: tuple[secrets.SecretFile, ...]

    @property
    def listens(self) -> bool:
        """Whether its Asterisk connects to the pods."""
        return "listen" in self.settings.get("ari", {})


def kept_server(
    observed: Observed, server: Deployed, component: Component, *, is_final: bool
) -> KeptServer | None:
    """Return what a component has of a server; None if nothing is left of it.

    Args:
        observed: the state of the cluster.
        server: one of several servers of a slot.
        component: ingest or command.
        is_final: whether its ingest ends the dialogs that are left when it stops.
    """
    settings = observed.server_settings(server, component)
    if not settings:
        return None
    if is_final and component == "ingest":
        settings = final(settings)
    live = observed.deployment(server.slot, component)
    pod = live["spec"]["template"]["spec"] if live is not None else {}
    return KeptServer(
        name=server.server,
        server_id=server.server_id,
        settings=settings,
        files=tuple(secrets.files_in(pod, settings)),
    )


def final(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of an ingest that ends the dialogs that are left when it stops."""
    return {**settings, "ingest": {**settings.get("ingest", {}), "final": True}}
