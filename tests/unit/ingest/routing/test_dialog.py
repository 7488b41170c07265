"""The state of a dialog is changed by its own methods alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

from ari_proxy import ingest
from ari_proxy.ingest.routing import dialog
from ari_proxy.ingest.routing.dialog import Dialog

INGEST = Path(ingest.__file__).parent
OWN = Path(dialog.__file__)


def writes(source: str) -> Iterator[str]:
    """Yield the assignments to an attribute that dialogs have, of another object than `self`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            is_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            if node.attr in Dialog.__slots__ and not is_self:
                yield f"{node.lineno}: {ast.unparse(node)}"


def test_nobody_else_writes_attributes_of_a_dialog() -> None:
    modules = [path for path in INGEST.rglob("*.py") if path != OWN]
    found = {path.name: list(writes(path.read_text())) for path in modules}

    assert {name: lines for name, lines in found.items() if lines} == {}


def test_assignment_from_outside_is_found() -> None:
    assert list(writes("dialog.sequence += 1\nself.sequence = 2\n")) == ["1: dialog.sequence"]
