"""Schemas of Kubernetes and of the CRD: validate objects as an API server does."""

from collections.abc import Iterable
from typing import Any

import jsonschema_rs
import kubernetes_validate
import yaml

from tests.support.cluster import K8S

#: The oldest that the chart takes, and the newest whose schemas there are.
VERSIONS = ("1.31", "1.37")
#: Kinds of the Prometheus operator and of KEDA: their schemas are not Kubernetes'.
FOREIGN = {"PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"}


def problems(items: Iterable[dict[str, Any]], version: str) -> list[str]:
    """Return the faults of objects, unknown fields included."""
    return [problem for item in items if (problem := _problem(item, version))]


def _problem(item: dict[str, Any], version: str) -> str:
    name = f"{item['kind']} {item['metadata']['name']}"
    try:
        if item["kind"] == "AriProxy":
            ariproxy().validate(item)
        elif item["kind"] not in FOREIGN:
            kubernetes_validate.validate(item, version, strict=True)
    except (kubernetes_validate.ValidationError, jsonschema_rs.ValidationError) as error:
        return f"{name}: {error.message}"
    return ""


def ariproxy() -> jsonschema_rs.Validator:
    """Return the CRD's schema, which rejects unknown fields as the API server does."""
    crd = yaml.safe_load((K8S / "crds" / "ariproxies.yaml").read_text())
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties = schema["properties"] | {"metadata": {"type": "object"}}
    own: dict[str, Any] = {"apiVersion": {}, "kind": {}}
    return jsonschema_rs.validator_for(_closed(schema | {"properties": properties | own}))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _closed(item) for name, item in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not is_open:
        found["additionalProperties"] = False
    return found
