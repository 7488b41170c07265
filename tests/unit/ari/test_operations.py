"""The table of operations is Asterisk's, and paths find their template in it."""

import pytest

from ari_proxy.ari import operations
from ari_proxy.ari.operation_table import TEMPLATES
from tests.support.api import parameters

#: Path, method, and names of parameters.
API = parameters()


def test_templates_are_those_of_asterisk() -> None:
    ours = {path: set(methods.split()) for path, methods in TEMPLATES.items()}

    assert ours == {path: set(methods) for path, methods in API.items()}


@pytest.mark.parametrize("template", API)
def test_path_finds_its_template(template: str) -> None:
    path = "/".join("1.2" if part.startswith("{") else part for part in template.split("/"))

    assert operations.template_of(path) == template


@pytest.mark.parametrize("path", ["/", "/nope", "/channels/1/2/3/4", ""])
def test_other_paths_are_other(path: str) -> None:
    assert operations.template_of(path) == "other"


def test_every_operation_that_takes_an_id_for_its_new_object_is_a_creation() -> None:
    new_ids = {"channelId", "bridgeId", "playbackId", "snoopId"}
    taking = {
        path
        for path, methods in API.items()
        for name in methods.get("POST", [])
        if name in new_ids and (f"{{{name}}}" not in path or path.endswith(f"{{{name}}}"))
    }

    # A claim names a channel that exists, and so does a video source.
    others = {"/events/claim", "/bridges/{bridgeId}/videoSource/{channelId}"}
    assert set(operations.CREATIONS) == taking - others
