"""How far the roll-out of each server is, from its Deployments. Sans-I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ari_proxy.operator import names
from ari_proxy.operator.model import LoginSecretRef
from ari_proxy.operator.names import COMPONENTS, Component
from ari_proxy.operator.objects import Object, annotations_of, slot_of
from ari_proxy.operator.state import Observed
from ari_proxy.operator.store import is_whole

from .children.component import DesiredComponent
from .children.pod_template import pod_template
from .comparison import annotated, covers, fingerprint
from .rollout import Phase, ServerRollout
from .servers import DesiredServer
from .slots import Slot
from .workload_health import health

#: A server without properties: what is left of its pod template all servers have in common.
_ANY_SERVER = DesiredServer(
    name="any",
    server_id="any",
    rest_url="",
    applications=(),
    subscribe_all=False,
    credentials=LoginSecretRef(name="any"),
    tls=None,
)


def common_template(component: DesiredComponent) -> str:
    """Return the fingerprint of what the pod templates of all servers have in common."""
    slot = Slot(name="any", is_shared=component.slot.is_shared, servers=(_ANY_SERVER,))
    any_slot = replace(component, slot=slot, kept=(), has_lease=False, account_since="")
    return fingerprint(pod_template(any_slot))


def marked(observed: Observed, desired: Object, component: DesiredComponent, common: str) -> Object:
    """Return a Deployment with what its roll-out is judged by, as annotations."""
    template = fingerprint(desired["spec"]["template"])
    server = component.slot.name
    live = observed.deployment(server, component.component)
    marks = {names.TEMPLATE: template, names.COMMON_TEMPLATE: common}
    if live is None or _is_former(live, template, desired):
        is_unserved = live is None or not _serves(observed, server, component.component)
        marks |= {names.UNSERVED_BEFORE: "true"} if is_unserved else {}
    elif annotations_of(live).get(names.UNSERVED_BEFORE):
        marks[names.UNSERVED_BEFORE] = "true"
    return annotated(desired, marks)


def server_rollouts(
    observed: Observed,
    slots: Sequence[str],
    desired: Mapping[str, Mapping[Component, Object]],
) -> list[ServerRollout]:
    """Return how far each server is, or the servers of a slot together.

    Args:
        observed: the state.
        slots: of the servers to serve.
        desired: by server that may be changed: its Deployments, marked.
    """
    common = {
        component: _common(item)
        for deployments in desired.values()
        for component, item in deployments.items()
    }
    return [_rollout(observed, slot, desired.get(slot, {}), common) for slot in slots]


def rolling_servers(children: Iterable[Object]) -> tuple[str, ...]:
    """Return the servers whose pods are being replaced, as far as their Deployments tell it."""
    found = {
        slot_of(item)
        for item in children
        if item["kind"] == "Deployment" and is_whole(item) and _has_former_pods(item)
        if not annotations_of(item).get(names.UNSERVED_BEFORE)
    }
    return tuple(sorted(found))


def _rollout(
    observed: Observed,
    server: str,
    desired: Mapping[Component, Object],
    common: Mapping[Component, str],
) -> ServerRollout:
    live = {component: observed.deployment(server, component) for component in COMPONENTS}
    changes = [
        (component, item, desired[component])
        for component, item in live.items()
        if item is not None and component in desired and _is_waiting(item, desired[component])
    ]
    # A server that lacks a Deployment is not served, whatever is done to the other one.
    if changes and None not in live.values():
        return ServerRollout(
            name=server,
            phase=Phase.WAITING,
            is_serving=_is_serving(observed, server),
            is_unfinished=any(map(_has_former_pods, filter(None, live.values()))),
            components=frozenset(item for item, *change in changes if _is_common(*change)),
            is_of_installation=any(_gets_default_image(observed, *item) for item in changes),
        )
    phases = {item: _component_phase(observed, server, item, common) for item in COMPONENTS}
    return ServerRollout(
        name=server,
        # Of the worse component.
        phase=max(phases.values(), key=list(Phase).index),
        components=frozenset(item for item in COMPONENTS if phases[item] is Phase.UNREADY),
        is_of_installation=any(_has_default_image(observed, item) for item in COMPONENTS),
    )


def _component_phase(
    observed: Observed, server: str, component: Component, common: Mapping[Component, str]
) -> Phase:
    """Return the phase of a component whose template is the desired one, or may not be changed.

    One that may not be changed tells of the desired one only if it has what is common of it.
    """
    phase = _phase(observed, server, component)
    live = observed.deployment(server, component)
    if live is None or phase is Phase.ROLLING or common.get(component) in {None, _common(live)}:
        return phase
    return Phase.CURRENT


def _phase(observed: Observed, server: str, component: Component) -> Phase:
    live = observed.deployment(server, component)
    found = health(observed, server, component)
    if live is None or found.replicas == 0 or annotations_of(live).get(names.UNSERVED_BEFORE):
        return Phase.CURRENT
    if _has_former_pods(live):
        is_failed = found.is_stuck and not found.is_settled
        return Phase.FAILED if is_failed else Phase.ROLLING
    # One that lacks a standby or a further executor is served all the same.
    return Phase.CURRENT if found.is_serving else Phase.UNREADY


def _has_former_pods(live: Object) -> bool:
    """Return whether pods of a former template are left."""
    status = live.get("status") or {}
    is_observed = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    updated = status.get("updatedReplicas", 0) if is_observed else 0
    return bool(status.get("replicas", 0) > updated)


def _serves(observed: Observed, server: str, component: Component) -> bool:
    """Return whether a component serves; of one that is scaled to 0 the other one tells."""
    found = health(observed, server, component)
    return found.is_serving or (found.replicas == 0 and _is_serving(observed, server))


def _is_serving(observed: Observed, server: str) -> bool:
    """Return whether each component serves that is not scaled to 0."""
    found = [health(observed, server, item) for item in COMPONENTS]
    scaled = [item for item in found if item.replicas]
    return bool(scaled) and all(item.is_serving for item in scaled)


def _is_waiting(live: Object, desired: Object) -> bool:
    return _is_former(live, annotations_of(desired)[names.TEMPLATE], desired)


def _is_former(live: Object, template: str, desired: Object) -> bool:
    """Return whether a Deployment was applied with another template.

    What others have changed since is none: it is changed back at once.
    """
    applied = annotations_of(live).get(names.TEMPLATE)
    if applied is None:  # By a former version of the operator.
        return not covers(live["spec"]["template"], desired["spec"]["template"])
    return applied != template


def _is_common(live: Object, desired: Object) -> bool:
    return _common(live) != _common(desired)


def _common(item: Object) -> str:
    """Return the mark of what a Deployment's template has in common with those of other servers."""
    return annotations_of(item).get(names.COMMON_TEMPLATE, "")


def _gets_default_image(
    observed: Observed, component: Component, live: Object, desired: Object
) -> bool:
    images = [_image(item, component) for item in (live, desired)]
    return _has_default_image(observed, component) and images[0] != images[1]


def _has_default_image(observed: Observed, component: Component) -> bool:
    spec = observed.proxy.spec
    return not (spec.ingest if component == "ingest" else spec.command).image


def _image(item: Object, component: Component) -> str:
    containers: Iterable[Object] = item["spec"]["template"]["spec"].get("containers") or ()
    return next((str(found.get("image")) for found in containers if found["name"] == component), "")
