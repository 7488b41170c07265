"""The request kinds of CyCoreSystems/ari-proxy, as the table of docs/coming-from-….md."""

import json
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "tests/data/cc-request-kinds.json"


def table() -> str:
    """Return the table: each kind, and the method and path of the command in its place."""
    rows = [
        f"| `{kind['kind']}` | {'none' if kind['rest'] == 'none' else '`' + kind['rest'] + '`'} |"
        for kind in json.loads(DATA.read_text())
    ]
    return "\n".join(["| request kind | command |", "| --- | --- |", *rows]) + "\n"
