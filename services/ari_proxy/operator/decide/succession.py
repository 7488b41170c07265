"""What goes on with a server that drains: nothing, or its Asterisk under another name. Sans-I/O.

An application of an Asterisk has one client. A server that is listed under another name would take
the applications from the ingest that has the calls, and announce them again. So it waits for the
drain, unless it keeps the server_id: then its ingest takes the dialogs over.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, ObjectKey
from ari_proxy.operator.state import Observed

from .children.config_map import FILE
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
    """Return why a server is not served yet: its Asterisk is, under a name that drains."""
    if observed.deployment(server.name, "ingest") is not None:
        return None
    for other in draining:
        if _is_same(_settings(observed, other.name), server) and not _hands_over(
            observed, other, server
        ):
            message = (
                f"its Asterisk is still served as {other.name}, until the dialogs there are over "
                f"or drainTimeoutSeconds are"
            )
            return Refusal("AwaitingDrain", message)
    return None


def final_ingests(
    observed: Observed, servers: Iterable[DesiredServer], draining: Iterable[DrainingServer]
) -> list[Patch]:
    """Return the patches by which ingests of draining servers end the dialogs that are left.

    Their pods are replaced by new ones, which take the dialogs over.
    """
    continued = {server.server_id for server in servers}
    found: list[Patch] = []
    for server in draining:
        settings = _settings(observed, server.name)
        is_known = settings.get("server_id") and settings["server_id"] not in continued
        if is_known and server.dialogs != 0 and is_removed(observed, server):
            found += _final(observed, server.name, settings)
    return found


def _final(observed: Observed, server: str, settings: Mapping[str, Any]) -> list[Patch]:
    config = _child(observed, "ConfigMap", server)
    live = observed.deployment(server, "ingest")
    if config is None or live is None:
        return []
    text = (
        json.dumps({**settings, "ingest": {**settings["ingest"], "final": True}}, indent=2) + "\n"
    )
    stamp = names.digest(text)
    found = []
    if config["data"][FILE] != text:
        found.append(_patch(config, f"/data/{FILE}", text))
    annotations = live["spec"]["template"]["metadata"].get("annotations") or {}
    if annotations.get(names.SETTINGS) != stamp:
        stamped = {**annotations, names.SETTINGS: stamp}
        found.append(_patch(live, "/spec/template/metadata/annotations", stamped))
    return found


def _patch(item: Object, path: str, value: str | Object) -> Patch:
    version = {"path": "/metadata/resourceVersion", "value": item["metadata"]["resourceVersion"]}
    change = {"op": "add", "path": path, "value": value}  # RFC 6902: replaces what is there.
    return Patch(item, ({"op": "replace", **version}, change))


def _hands_over(observed: Observed, former: DrainingServer, server: DesiredServer) -> bool:
    """Return whether the server's ingest takes the dialogs over.

    With a Lease it would not: the former one's standby would take them back.
    """
    has_lease = _child(observed, "Lease", former.name) is not None
    return _settings(observed, former.name).get("server_id") == server.server_id and not has_lease


def _is_same(settings: Mapping[str, Any], server: DesiredServer) -> bool:
    """Return whether settings are for an application of the same Asterisk."""
    url = settings.get("ari", {}).get("rest_url")
    shared = set(settings.get("applications", ())) & set(server.applications)
    return bool(url and url == server.rest_url and shared)


def _settings(observed: Observed, server: str) -> dict[str, Any]:
    """Return the settings of a server's ingest as they are in the cluster; empty if unreadable."""
    config = _child(observed, "ConfigMap", server)
    try:
        found = json.loads((config or {})["data"][FILE])
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _child(observed: Observed, kind: str, server: str) -> Object | None:
    name = names.workload(observed.proxy.metadata.name, "ingest", server)
    return observed.children.get(ObjectKey(kind, name))
