"""A user's template is merged into the operator's."""

from typing import Any

import pytest

from ari_proxy.operator.decide.overlay import merge
from ari_proxy.operator.errors import PodTemplateError


@pytest.mark.parametrize(
    ("base", "overlay", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}}, {"a": None}, {}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        (
            {"containers": [{"name": "x", "image": "i", "env": [{"name": "A", "value": "1"}]}]},
            {"containers": [{"name": "x", "env": [{"name": "B", "value": "2"}]}]},
            {
                "containers": [
                    {
                        "name": "x",
                        "image": "i",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    }
                ]
            },
        ),
        (
            {"containers": [{"name": "x"}]},
            {"containers": [{"name": "sidecar"}]},
            {"containers": [{"name": "x"}, {"name": "sidecar"}]},
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}]},
            {"volumeMounts": [{"name": "v", "mountPath": "/b"}]},
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        ),
        ({}, {"containers": [{"name": "x"}]}, {"containers": [{"name": "x"}]}),
    ],
)
def test_merge(base: dict[str, Any], overlay: dict[str, Any], result: dict[str, Any]) -> None:
    before = repr(base)

    assert merge(base, overlay) == result
    assert repr(base) == before


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"containers": "x"}, "podTemplate.spec.containers must be a list"),
        ({"containers": {"name": "x"}}, "podTemplate.spec.containers must be a list"),
        ({"containers": [None]}, "podTemplate.spec.containers[0] must be an object"),
        ({"containers": ["x"]}, "podTemplate.spec.containers[0] must be an object"),
        (
            {"containers": [{"image": "x"}]},
            "podTemplate.spec.containers[0] must have a name, by which it is merged",
        ),
        (
            {"containers": [{"name": ["x"]}]},
            "podTemplate.spec.containers[0] must have a name, by which it is merged",
        ),
        (
            {"containers": [{"name": "x", "env": [{"name": "A"}, 7]}]},
            "podTemplate.spec.containers[0].env[1] must be an object",
        ),
    ],
)
def test_overlay_of_a_wrong_form_is_told(overlay: dict[str, Any], message: str) -> None:
    base = {"spec": {"containers": [{"name": "x", "env": []}]}}

    with pytest.raises(PodTemplateError) as raised:
        merge(base, {"spec": overlay}, ("podTemplate",))

    assert str(raised.value) == message
