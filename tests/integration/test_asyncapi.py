"""AsyncAPI's own parser reads docs/reference/asyncapi.yaml."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.asyncapi import DOCUMENT
from tests.support.programs import missing, program

MODULES: Final = Path(sys.prefix) / "asyncapi" / "node_modules"
SCRIPT: Final = Path(__file__).parents[1] / "support" / "validate-asyncapi.cjs"


def parse(document: Path) -> tuple[int, str]:
    """Return the status of the parser, and what it says."""
    done = subprocess.run(
        [program("node"), SCRIPT, MODULES, document],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    return done.returncode, done.stdout + done.stderr


def test_document_is_valid_and_a_broken_one_is_not(tmp_path: Path) -> None:
    if not (MODULES / "@asyncapi" / "parser").exists():
        missing("asyncapi", "make asyncapi")
    broken = tmp_path / DOCUMENT.name
    broken.write_text(DOCUMENT.read_text().replace("'#/channels/dialogEvents'", "'#/channels/x'"))
    shutil.copytree(DOCUMENT.parent / "schemas", tmp_path / "schemas")

    status, said = parse(DOCUMENT)
    assert status == 0, said
    # Newer versions of AsyncAPI are no fault.
    assert [line for line in said.splitlines() if "latest version" not in line] == []
    status, said = parse(broken)
    assert status == 1, said
    assert "operations.sendEvents.channel" in said
