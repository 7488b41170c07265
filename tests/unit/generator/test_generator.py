"""The generated code is that of the facts, which have no sentences of Asterisk's."""

import json
import re
from pathlib import Path

import pytest

from generator import differences, facts, modules, output, sources
from generator.description import FACTS, NEWEST, OLDER, read, written
from generator.docstrings import MissingWordsError
from tests.unit.test_packaging import ROOT


def test_generated_files_are_those_of_the_facts() -> None:
    generated = output.files()
    written_files = {path: path.read_text() if path.exists() else "" for path in generated}

    assert len(generated) == 19
    assert written_files == generated, "make generate writes them anew"


def test_no_generated_module_is_left_over() -> None:
    folder = ROOT / "services/ari_proxy/client/ari/operations"

    assert set(folder.glob("*.py")) <= output.files().keys()


def test_asterisk_22_adds_to_16() -> None:
    added = differences.between(read(OLDER[0]), read(NEWEST))

    assert (len(added.operations), len(added.parameters)) == (11, 10)
    assert (len(added.models), len(added.fields)) == (15, 5)
    assert "events.claimChannel" in added.operations
    assert "channels.setChannelVar(report_events)" in added.parameters
    assert "Channel(tenantid)" in added.fields
    assert str(added).startswith("11 operations\n  bridges.getBridgeVar\n")
    assert differences.between(read(NEWEST), read(OLDER[0])).operations == ()


@pytest.mark.parametrize("path", sorted(FACTS.glob("*.json")), ids=lambda path: path.stem)
def test_facts_are_names_and_no_sentences(path: Path) -> None:
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', path.read_text())

    # "Dialing Offhook" is a state of channels.
    assert {text for text in texts if " " in text} == {"Dialing Offhook"}
    assert max(map(len, texts)) < 60


def test_facts_are_taken_from_a_folder(tmp_path: Path) -> None:
    write_description(tmp_path)

    description = facts.taken(sources.description(str(tmp_path)))
    file = tmp_path / "facts.json"
    file.write_bytes(written(description))

    ((resource, operation),) = description.operations()
    assert read(file) == description
    assert "sentence" not in file.read_text()
    assert (resource.name, operation.errors, operation.since) == ("lamps", (404, 409), ("22.1.0",))
    # A part of the path is required, whatever the description says.
    assert operation.parameters[0].required
    assert operation.parameters[1].minimum == 0
    assert description.models()["Lamp"].fields[0].values == ("on", "off")


def test_what_is_new_needs_words_of_our_own(tmp_path: Path) -> None:
    write_description(tmp_path)

    with pytest.raises(MissingWordsError, match=r"write into generator/words what lamps"):
        modules.of_operations(facts.taken(sources.description(str(tmp_path))))


def test_other_urls_are_no_source() -> None:
    with pytest.raises(ValueError, match="file:// is no URL of ARI"):
        sources.description("file:///etc")


def test_nothing_of_the_generator_is_shipped() -> None:
    project = (ROOT / "pyproject.toml").read_text()

    assert 'packages = ["services/ari_proxy"]' in project
    assert 'include = ["/services", "/README.md", "/LICENSE", "/CHANGELOG.md"]' in project
    assert list((ROOT / "services").rglob("asterisk-*.json")) == []
    assert "!generator" not in (ROOT / ".dockerignore").read_text()


def write_description(folder: Path) -> None:
    """Write a description in Asterisk's form, with an operation that it has not."""
    parameters = [
        {"name": "lamp", "paramType": "path", "dataType": "string", "required": False},
        {
            "name": "level",
            "paramType": "query",
            "dataType": "int",
            "description": "A sentence.",
            "allowableValues": {"valueType": "RANGE", "min": 0},
        },
    ]
    operation = {
        "httpMethod": "POST",
        "nickname": "light",
        "summary": "A sentence.",
        "responseClass": "Lamp",
        "since": ["22.1.0"],
        "parameters": parameters,
        "errorResponses": [{"code": "409", "reason": "A sentence."}, {"code": 404}],
    }
    state = {"type": "string", "allowableValues": {"valueType": "LIST", "values": ["on", "off"]}}
    content = {
        "apis": [{"path": "/lamps/{lamp}", "operations": [operation]}],
        "models": {"Lamp": {"id": "Lamp", "properties": {"state": state}}},
    }
    listing = {"apis": [{"path": "/api-docs/lamps.{format}"}]}
    (folder / "resources.json").write_text(json.dumps(listing))
    (folder / "lamps.json").write_text(json.dumps(content))
