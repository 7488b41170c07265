"""What goes on with a server that drains: nothing, or its Asterisk under another name. Sans-I/O.

An application of an Asterisk has one client. A server that is listed under another name would take
the applications from the ingest that has the calls, and announce them again. So it waits for the
drain, unless it keeps the server_id: then its ingest takes the dialogs over.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, annotations_of
from ari_proxy.operator.state import SETTINGS_FILE, Deployed, Observed

from . import kept
from .children import config_map
from .drain import DrainingServer, is_removed
from .refusals import Refusal
from .servers import DesiredServer


class Patch(NamedTuple):
    """Changes of an object that exists, refused if it has changed meanwhile."""

    item: Object
    operations: tuple[Object, ...]


def awaited(
    observed: Observed, server: DesiredServer, draining: Iterable[DrainingServer]
) -> Refusal | None:
    """Return why a server is not served yet: it is, or its Asterisk, under a name that drains.

    One that is deployed may already be served beside it, but not by the same process.
    """
    is_apart = observed.proxy.spec.pods == "PerServer"
    if is_apart and server.name in observed.deployed_servers:
        return None
    for other in draining:
        settings = observed.server_settings(other.deployed, "ingest")
        is_taken = _is_same(settings, server) or settings.get("server_id") == server.server_id
        if is_taken and not _hands_over(observed, other, settings, server):
            message = (
                f"its Asterisk is still served as {other.name}, until the dialogs there are over "
                f"or drainTimeoutSeconds are"
            )
            return Refusal("AwaitingDrain", message)
    return None


def is_final(
    observed: Observed, servers: Iterable[DesiredServer], draining: DrainingServer
) -> bool:
    """Return whether a draining server's ingest ends the dialogs that are left when it stops."""
    settings = observed.server_settings(draining.deployed, "ingest")
    continued = {server.server_id for server in servers}
    is_known = settings.get("server_id") and settings["server_id"] not in continued
    return bool(is_known and draining.dialogs != 0 and is_removed(observed, draining))


def final_ingests(observed: Observed, final: Iterable[Deployed]) -> list[Patch]:
    """Return the patches by which ingests of draining servers end the dialogs that are left.

    Their pods are replaced by new ones, which take the dialogs over.
    """
    by_slot: dict[str, set[str]] = {}
    for server in final:
        by_slot.setdefault(server.slot, set()).add(server.server_id)
    found: list[Patch] = []
    for slot, server_ids in by_slot.items():
        settings = _with_final(observed.settings(slot, "ingest"), server_ids)
        found += _final(observed, slot, settings)
    return found


def _with_final(settings: dict[str, Any], server_ids: Collection[str]) -> dict[str, Any]:
    """Return settings with some of several servers made final, or the only one ('')."""
    if "" in server_ids:
        return kept.final(settings)
    servers = [
        kept.final(item) if item.get("server_id") in server_ids else item
        for item in settings["servers"]
    ]
    return {**settings, "servers": servers}


def _final(observed: Observed, slot: str, settings: Mapping[str, Any]) -> list[Patch]:
    config, live = (observed.child(kind, "ingest", slot) for kind in ("ConfigMap", "Deployment"))
    if config is None or live is None:
        return []
    text = config_map.encoded(settings)
    stamp = names.digest(text)
    found = []
    if config["data"][SETTINGS_FILE] != text:
        found.append(_patch(config, f"/data/{SETTINGS_FILE}", text))
    annotations = annotations_of(live["spec"]["template"])
    if annotations.get(names.SETTINGS) != stamp:
        stamped = {**annotations, names.SETTINGS: stamp}
        found.append(_patch(live, "/spec/template/metadata/annotations", stamped))
    return found


def _patch(item: Object, path: str, value: str | Object) -> Patch:
    version = {"path": "/metadata/resourceVersion", "value": item["metadata"]["resourceVersion"]}
    change = {"op": "add", "path": path, "value": value}  # RFC 6902: replaces what is there.
    return Patch(item, ({"op": "replace", **version}, change))


def _hands_over(
    observed: Observed, former: DrainingServer, settings: Mapping[str, Any], server: DesiredServer
) -> bool:
    """Return whether the server's ingest takes the dialogs over.

    With a Lease it would not: the former one's standby would take them back.
    """
    has_lease = observed.child("Lease", "ingest", former.name) is not None
    return settings.get("server_id") == server.server_id and not has_lease


def _is_same(settings: Mapping[str, Any], server: DesiredServer) -> bool:
    """Return whether settings are for an application of the same Asterisk."""
    url = settings.get("ari", {}).get("rest_url")
    shared = set(settings.get("applications", ())) & set(server.applications)
    return bool(url and url == server.rest_url and shared)
