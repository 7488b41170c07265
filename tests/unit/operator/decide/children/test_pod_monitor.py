"""The PodMonitor of a resource."""

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.pod_monitor import pod_monitor
from tests.support.resources import component, proxy


def test_there_is_none_unless_the_spec_enables_it() -> None:
    assert pod_monitor(proxy()) is None


def test_it_selects_the_pods_of_the_resource() -> None:
    monitor = {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}}
    found = pod_monitor(proxy(monitoring={"podMonitor": monitor}))

    assert found is not None
    assert found["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = found["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("admin", "15s")
    pods = names.labels("minimal", "ingest", component().slot.name)
    assert found["spec"]["selector"]["matchLabels"].items() <= pods.items()


def test_labels_of_the_operator_win() -> None:
    labels = {names.INSTANCE: "other"}
    found = pod_monitor(proxy(monitoring={"podMonitor": {"enabled": True, "labels": labels}}))

    assert found is not None
    assert found["metadata"]["labels"][names.INSTANCE] == "minimal"


def test_endpoint_has_what_the_spec_gives_it() -> None:
    given = {
        "scrapeTimeout": "5s",
        "relabelings": [{"targetLabel": "site", "replacement": "north"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "pod"}],
    }
    found = pod_monitor(proxy(monitoring={"podMonitor": {"enabled": True, **given}}))

    assert found is not None
    (endpoint,) = found["spec"]["podMetricsEndpoints"]
    assert endpoint.items() >= given.items()
