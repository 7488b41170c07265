"""The pods of a component, restricted, with the user's overlay. Pure.

kubernetes.io/docs/concepts/security/pod-security-standards, "Restricted".
"""

from typing import Any, Final

import msgspec

from ari_proxy.operator import names
from ari_proxy.operator.decide import overlay, secrets

from . import config_map
from .wanted import Object, Wanted

#: The user that the images run as.
USER: Final = 65532
_NOT_FOUND_SECONDS: Final = 30
#: Of an idle process, with room; the memory's limit holds a full buffer and what it comes from.
_RESOURCES: Final[Object] = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"memory": "512Mi"},
}


def pod_template(wanted: Wanted) -> Object:
    """Return the template, as of a Deployment's `spec.template`."""
    labels = names.labels(wanted.proxy.metadata.name, wanted.component, wanted.server.name)
    # New settings start new pods: those that run have read theirs when they started.
    annotations = {names.SETTINGS: names.digest(config_map.text(wanted))}
    if wanted.has_lease:
        annotations[names.LEASE] = "true"
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": _pod(wanted),
    }
    laid_over = wanted.workload.pod_template
    return overlay.merge(template, {"metadata": laid_over.metadata, "spec": laid_over.spec})


def _pod(wanted: Wanted) -> Object:
    spec = wanted.proxy.spec
    return {
        "serviceAccountName": names.account(wanted.proxy.metadata.name, wanted.component),
        # Only who asks for the Lease needs to be known to the API server.
        "automountServiceAccountToken": wanted.has_lease,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": wanted.workload.termination_grace_period_seconds,
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
        "affinity": _apart(wanted),
        "containers": [_container(wanted)],
        "volumes": [
            {"name": "config", "configMap": {"name": wanted.name}},
            secrets.volume(wanted.secret_files),
        ],
    }


def _names(items: tuple[Any, ...]) -> list[Object]:
    return [msgspec.to_builtins(item) for item in items]


def _apart(wanted: Wanted) -> Object:
    """Return that the pods of one component had better not share a node."""
    term = {
        "labelSelector": {"matchLabels": wanted.selector},
        "topologyKey": "kubernetes.io/hostname",
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _container(wanted: Wanted) -> Object:
    return {
        "name": wanted.component,
        "image": wanted.image,
        "imagePullPolicy": wanted.proxy.spec.image_pull_policy,
        "env": [{"name": "ARI_PROXY_CONFIG", "value": f"{config_map.DIRECTORY}/{config_map.FILE}"}],
        "ports": [{"name": "admin", "containerPort": config_map.ADMIN_PORT, "protocol": "TCP"}],
        # The process lives as long as its event loop answers; whether it can serve calls is another
        # question, which no restart answers.
        "startupProbe": _probe("/livez", period=1, failures=_NOT_FOUND_SECONDS),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        "resources": wanted.workload.resources or _RESOURCES,
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


def _probe(path: str, *, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        # Above what one check of the admin API may take.
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
