"""What Asterisk has of ARI's newer features, by its own description."""

import json

from ari_proxy.ari import features


def described(path: str, method: str, *parameters: str) -> str:
    operation = {
        "httpMethod": method,
        "nickname": "any",
        "parameters": [{"name": name, "paramType": "query"} for name in parameters],
    }
    return json.dumps({"apiVersion": "2.0.0", "apis": [{"path": path, "operations": [operation]}]})


def names(*descriptions: str) -> set[str]:
    return {feature.name for feature in features.described(descriptions)}


def test_operation_is_known_by_method_and_path() -> None:
    assert names(described("/events/claim", "POST")) == {"events.claim"}
    assert names(described("/events/claim", "GET")) == set()
    assert names(described("/bridges/{bridgeId}/variable", "GET")) == {"bridges.get_variable"}


def test_parameter_is_known_by_its_operation() -> None:
    variable = "/channels/{channelId}/variable"

    assert names(described(variable, "POST", "value")) == set()
    assert names(described(variable, "POST", "report_events")) == {
        "channels.set_variable(report_events)"
    }


def test_several_resources_are_described_apart() -> None:
    both = (described("/events/claim", "POST"), described("/endpoints/refer", "POST"))

    assert names(*both) == {"events.claim", "endpoints.refer"}


def test_what_is_no_description_has_nothing() -> None:
    assert names("", "<html>", "[]", '{"apis": 1}', "[" * 100_000) == set()


def test_resources_are_those_of_the_features() -> None:
    assert features.RESOURCES == ("bridges", "channels", "endpoints", "events")
