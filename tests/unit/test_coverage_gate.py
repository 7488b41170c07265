"""What `make cover` lets through."""

import tomllib
from typing import Any

import pytest

from tests.support.coverage import ROOT, deciding_modules, needs_no_server, shortfalls


def measured(branches: tuple[int, int], statements: tuple[int, int] = (10, 10)) -> dict[str, Any]:
    """Return a file of coverage.py's report, from what is covered and how much there is."""
    return {
        "summary": {
            "covered_branches": branches[0],
            "num_branches": branches[1],
            "covered_lines": statements[0],
            "num_statements": statements[1],
        },
        "missing_lines": [7],
        "missing_branches": [[3, 7]],
    }


@pytest.mark.parametrize(
    ("test", "is_without"),
    [
        ("tests/unit/ari/test_rest.py::test_a[rabbitmq]", True),
        ("tests/property/test_urls.py::test_a", True),
        ("tests/contract/test_bus.py::test_a[memory]", True),
        ("tests/contract/test_bus.py::test_a[queue-memory_keeping]", True),
        ("tests/contract/test_simulator.py::test_a", True),
        ("tests/contract/test_bus.py::test_a[nats]", False),
        ("tests/contract/test_bus.py::test_that_leaves_no_memory[rabbitmq]", False),
        ("tests/integration/test_unit.py::test_a[memory]", False),
    ],
)
def test_tests_without_a_server_are_known_by_their_names(test: str, is_without: bool) -> None:
    assert needs_no_server(test) is is_without


def test_module_with_enough_passes() -> None:
    files = {"services/ari_proxy/protocol/ids.py": measured((19, 20), (95, 100))}

    assert list(shortfalls(files, ["ari_proxy.protocol"])) == []


def test_module_without_a_branch_passes() -> None:
    files = {"services/ari_proxy/backoff.py": measured((0, 0))}

    assert list(shortfalls(files, ["ari_proxy.backoff"])) == []


def test_module_that_lacks_branches_is_told_with_its_lines() -> None:
    files = {
        "services/ari_proxy/protocol/ids.py": measured((18, 20)),
        "services/ari_proxy/protocol/topics.py": measured((20, 20)),
    }

    (line,) = shortfalls(files, ["ari_proxy.protocol"])

    assert line.startswith("services/ari_proxy/protocol/ids.py: 90 % of the branches, 100 %")
    assert line.endswith("lines [7], branches [[3, 7]]")


def test_function_that_no_test_calls_is_told_though_it_has_no_branch() -> None:
    files = {"services/ari_proxy/protocol/ids.py": measured((0, 0), (9, 10))}

    assert len(list(shortfalls(files, ["ari_proxy.protocol.ids"]))) == 1


def test_module_of_a_like_name_is_another_one() -> None:
    files = {
        "services/ari_proxy/ingest/routing/dialog.py": measured((1, 1)),
        "services/ari_proxy/ingest/dialogs_over.py": measured((0, 9)),
    }

    assert list(shortfalls(files, ["ari_proxy.ingest.routing.dialog"])) == []


def test_module_that_was_not_measured_does_not_pass() -> None:
    assert list(shortfalls({}, ["ari_proxy.protocol"])) == ["ari_proxy.protocol: not measured"]


def test_modules_are_those_that_import_linter_keeps_from_io() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert {"ari_proxy.protocol", "ari_proxy.ingest.routing"} <= set(deciding_modules(pyproject))
