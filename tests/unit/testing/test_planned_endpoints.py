"""Requests to a real Asterisk that call others in place of planned endpoints."""

import json

import pytest

from ari_proxy.simulator.plans import EndpointPlan
from ari_proxy.testing.errors import NotOnAsteriskError
from ari_proxy.testing.planned_endpoints import PlannedEndpoints

PLAN = EndpointPlan(digits="1")
PLACE = "Local/0@ari-proxy-test/n"


@pytest.fixture
def planned() -> PlannedEndpoints:
    planned = PlannedEndpoints("callers")
    planned.plan("PJSIP/200", PLAN)
    return planned


@pytest.mark.parametrize("path", ["/channels", "/channels/create", "/channels/c"])
def test_another_one_is_called_in_place_of_a_planned_endpoint(
    planned: PlannedEndpoints, path: str
) -> None:
    body = json.dumps({"variables": {"A": "b"}})

    url, sent = planned.redirected("POST", f"{path}?endpoint=PJSIP%2F200&app=demo", body)

    assert url == f"{path}?endpoint=Local%2F0%40ari-proxy-test%2Fn&app=demo"
    assert json.loads(sent) == {"variables": {"A": "b", "__TESTED_APPLICATION": "callers"}}
    assert (planned.plan_of("0"), planned.endpoint_of(PLACE)) == (PLAN, "PJSIP/200")


def test_parameters_in_the_body_are_found(planned: PlannedEndpoints) -> None:
    body = json.dumps({"endpoint": "PJSIP/200", "app": "demo"})

    url, sent = planned.redirected("POST", "/channels", body)

    assert url == "/channels"
    assert json.loads(sent)["endpoint"] == PLACE


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "/channels?endpoint=PJSIP%2F201&app=demo", ""),
        ("POST", "/channels/c/answer", ""),
        ("GET", "/channels", ""),
        ("POST", "/bridges?bridgeId=b", '{"a": 1}'),
    ],
)
def test_other_requests_stay_as_they_are(
    planned: PlannedEndpoints, method: str, url: str, body: str
) -> None:
    assert planned.redirected(method, url, body) == (url, body)


def test_other_endpoints_are_told_as_they_are(planned: PlannedEndpoints) -> None:
    assert planned.endpoint_of("PJSIP/201") == "PJSIP/201"
    assert planned.plan_of("7") is None


def test_external_media_can_not_be_planned(planned: PlannedEndpoints) -> None:
    with pytest.raises(NotOnAsteriskError, match="WebSocket/agents"):
        planned.plan("WebSocket/agents", PLAN)
