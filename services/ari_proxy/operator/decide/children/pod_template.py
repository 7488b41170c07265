"""The pod template of a component: restricted, with the user's overlay. Sans-I/O.

kubernetes.io/docs/concepts/security/pod-security-standards, "Restricted".
"""

from typing import Any, Final

import msgspec

from ari_proxy.operator import names
from ari_proxy.operator.decide import overlay, secrets
from ari_proxy.operator.objects import Object
from ari_proxy.operator.state import SETTINGS_FILE

from . import config_map
from .component import DesiredComponent

#: The user that the images run as.
USER: Final = 65532
#: The container's port for Asterisk's websockets.
ARI_PORT_NAME: Final = "ari"
_STARTUP_SECONDS: Final = 30
#: For an idle process, with room; the memory limit holds a full event buffer.
_RESOURCES: Final[Object] = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"memory": "512Mi"},
}


def pod_template(desired: DesiredComponent) -> Object:
    """Return the `spec.template` of a Deployment.

    Raises:
        PodTemplateError: an overlay, of the installation or of the resource, has a wrong form.
    """
    # Settings are read at startup, so new settings have to start new pods.
    annotations = {names.SETTINGS: names.digest(config_map.text(desired))}
    if desired.has_lease:
        annotations[names.LEASE] = "true"
        if desired.account_since:
            annotations[names.ACCOUNT_SINCE] = desired.account_since
    template = {
        "metadata": {"labels": desired.labels, "annotations": annotations},
        "spec": _pod(desired),
    }
    place = f"{desired.component}.podTemplate"
    layers = {
        f"the chart's value {place}": desired.workload_defaults.pod_template,
        f"spec.{place}": desired.workload.pod_template,
    }
    for path, overlaid in layers.items():
        layer = {"metadata": overlaid.metadata, "spec": overlaid.spec}
        template = overlay.merge(template, layer, (path,))
    return template


def _pod(desired: DesiredComponent) -> Object:
    spec = desired.proxy.spec
    return {
        "serviceAccountName": names.account(desired.proxy.metadata.name, desired.component),
        # Only an ingest with a Lease calls the API server.
        "automountServiceAccountToken": desired.has_lease,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": desired.workload.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **(
            {"imagePullSecrets": _names(spec.image_pull_secrets)} if spec.image_pull_secrets else {}
        ),
        "affinity": _affinity(desired),
        "containers": [_container(desired)],
        "volumes": [
            {"name": "config", "configMap": {"name": desired.name}},
            _secrets(desired),
        ],
    }


def _secrets(desired: DesiredComponent) -> Object:
    slot = desired.slot
    if not slot.is_shared:
        return secrets.volume(secrets.needed(desired.proxy, slot.servers[0]))
    # One server's must not keep the others from being served.
    own = [file for server in slot.servers for file in secrets.of_shared(server)]
    own += [file for server in desired.kept for file in server.files]
    # The order in the spec is no difference.
    own.sort(key=lambda file: (file.secret, file.path))
    return secrets.volume(secrets.of_bus(desired.proxy), own)


def _names(items: tuple[Any, ...]) -> list[Object]:
    return [msgspec.to_builtins(item) for item in items]


def _affinity(desired: DesiredComponent) -> Object:
    """Return an affinity that prefers a node of its own for each pod of the component."""
    term = {
        "labelSelector": {"matchLabels": desired.selector},
        "topologyKey": "kubernetes.io/hostname",
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _container(desired: DesiredComponent) -> Object:
    return {
        "name": desired.component,
        "image": desired.image,
        "imagePullPolicy": desired.proxy.spec.image_pull_policy,
        "env": [{"name": "ARI_PROXY_CONFIG", "value": f"{config_map.DIRECTORY}/{SETTINGS_FILE}"}],
        "ports": _ports(desired),
        # Liveness is an event loop that answers. Whether the process can serve calls is readiness:
        # a restart would not mend it.
        # Python takes a moment to start: a probe before would be an Event of type Warning.
        "startupProbe": _probe("/livez", period=1, failures=_STARTUP_SECONDS)
        | {"initialDelaySeconds": 2},
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        # The reason of a crash, which the status then has.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": desired.workload.resources
        or desired.workload_defaults.resources
        or _RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": config_map.DIRECTORY, "readOnly": True},
            {"name": "secrets", "mountPath": secrets.DIRECTORY, "readOnly": True},
        ],
    }


def _ports(desired: DesiredComponent) -> list[Object]:
    ports = {"admin": config_map.ADMIN_PORT}
    if desired.component == "ingest":
        ports["calls"] = config_map.CALLS_PORT
    if any(server.outbound for server in desired.slot.servers) or any(
        server.listens for server in desired.kept
    ):
        ports[ARI_PORT_NAME] = config_map.ARI_PORT
    return [
        {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()
    ]


def _probe(path: str, *, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        # Above the deadline of a check of the admin API.
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
