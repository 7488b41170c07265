"""The model is compared with the contract, field by field."""

import json
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
import yaml

from ari_proxy.operator import model

CRD = Path(__file__).parents[3] / "k8s" / "crds" / "ariproxies.yaml"
SCHEMA = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def compare(struct: Any, schema: dict[str, Any], place: str) -> list[str]:
    """Return the differences of a struct and a schema."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    properties = schema["properties"]
    problems = [f"{place}.{name}: on one side only" for name in set(fields) ^ set(properties)]
    for name in set(fields) & set(properties):
        problems += _compare(fields[name], properties[name], f"{place}.{name}")
        is_required = name in schema.get("required", ())
        if is_required != fields[name].required:
            problems.append(f"{place}.{name}: required on one side only")
    return problems


def _compare(field: Any, schema: dict[str, Any], place: str) -> list[str]:
    kind = _without_none(field.type)
    problems = []
    if "default" in schema and _plain(field.default) != _default(schema, kind):
        problems.append(f"{place}: {field.default} is not {schema['default']}")
    if "enum" in schema and set(get_args(kind)) != set(schema["enum"]):
        problems.append(f"{place}: {kind} is not {schema['enum']}")
    if get_origin(kind) is tuple:
        kind, schema = get_args(kind)[0], schema["items"]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        problems += compare(kind, schema, place)
    return problems


def _plain(value: Any) -> Any:
    """Return a default in its JSON form."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _default(schema: dict[str, Any], kind: Any) -> Any:
    """Return a default; `{}` of an object stands for its own defaults."""
    if schema["default"] == {} and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _plain(kind())
    return schema["default"]


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in {Union, UnionType}:
        kinds = [item for item in get_args(kind) if item is not type(None)]
        return kinds[0] if len(kinds) == 1 else kind
    return kind


def test_model_has_the_names_types_and_defaults_of_the_contract() -> None:
    assert compare(model.AriProxySpec, SCHEMA["properties"]["spec"], "spec") == []


def test_defaults_of_items_are_said_by_their_descriptions() -> None:
    """The contract has none there; see test_crd.py."""

    def unsaid(struct: Any, schema: dict[str, Any], place: str) -> list[str]:
        found = []
        for field in msgspec.structs.fields(struct):
            item = schema["properties"][field.encode_name]
            kind, here = _without_none(field.type), f"{place}.{field.encode_name}"
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                found += unsaid(kind, item, here)
            elif field.default not in (msgspec.NODEFAULT, None, ""):
                text = json.dumps(field.default).strip('"')
                said = f"Defaults to {text}." in " ".join(item["description"].split())
                found += [] if said else [here]
        return found

    servers = SCHEMA["properties"]["spec"]["properties"]["servers"]["items"]
    assert unsaid(model.ServerSpec, servers, "servers[]") == []


def test_metadata_is_read_whatever_the_spec_is() -> None:
    resource = {"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "spec": "x"}

    assert model.metadata_of(resource).uid == "c"


def test_the_comparison_notices_a_difference() -> None:
    schema = {"properties": {"name": {"type": "string"}, "key": {"default": "other"}}}

    problems = compare(model.CaSecretRef, schema, "x")

    assert len(problems) == 2


def test_every_property_has_a_description() -> None:
    def silent(schema: dict[str, Any], place: str) -> list[str]:
        found = []
        for name, item in schema.get("properties", {}).items():
            if "description" not in item and name not in {"requests", "limits"}:
                found.append(f"{place}.{name}")
            found += silent(item.get("items", item), f"{place}.{name}")
        return found

    assert silent(SCHEMA["properties"]["spec"], "spec") == []


@pytest.mark.parametrize("group", ["spec", "status"])
def test_nothing_is_unbounded(group: str) -> None:
    """CEL's cost is estimated from the bounds, and etcd takes 1.5 MiB."""

    def unbounded(schema: dict[str, Any], place: str) -> list[str]:
        found = []
        if schema.get("type") == "array" and "maxItems" not in schema:
            found.append(place)
        for name, item in schema.get("properties", {}).items():
            found += unbounded(item, f"{place}.{name}")
        return found + (unbounded(schema["items"], f"{place}[]") if "items" in schema else [])

    assert unbounded(SCHEMA["properties"][group], group) == []
