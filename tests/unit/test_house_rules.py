"""Rules of the house that no linter knows: CONTRIBUTING.md has their reasons."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator

from tests.support.coverage import ROOT

PACKAGE = ROOT / "services/ari_proxy"
MODULES = {
    str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")
}


def written_from_outside(module: ast.Module) -> Iterator[str]:
    """The attributes that a module assigns on objects other than the method's own."""
    for node in ast.walk(module):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) != "self":
                yield ast.unparse(target)


def test_class_names_are_unique() -> None:
    modules = defaultdict(list)
    for name, module in MODULES.items():
        if name.startswith("client/ari/"):
            continue  # Asterisk's own names: a Channel, an Application, an Event.
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(name)

    assert {name: where for name, where in modules.items() if len(where) > 1} == {}


def test_only_a_dialogs_own_module_writes_its_attributes() -> None:
    written = {
        f"{name}: {attribute}"
        for name, module in MODULES.items()
        if name.startswith("ingest/")
        for attribute in written_from_outside(module)
        if attribute.split(".")[-2] in {"dialog", "_dialog"}
    }

    assert written == set()


def test_no_script_of_the_tests_hides_a_standard_module() -> None:
    """Python puts a script's own folder first: `operator.py` beside it would end its start."""
    names = {path.stem for path in (ROOT / "tests" / "support").glob("*.py")}

    assert names & sys.stdlib_module_names == set()
