"""The rights on NATS that docs/reference/wire.md lists."""

import re
from pathlib import Path

WIRE = Path(__file__).parents[2] / "docs/reference/wire.md"
#: The server and the application of the documentation.
SERVER, APPLICATION = "asterisk-1", "demo"


def section(heading: str) -> str:
    """Return the text below a heading."""
    return WIRE.read_text().partition(heading)[2].partition("\n## ")[0]


def on_nats() -> str:
    """Return the server's configuration that is documented."""
    return section("### On NATS").split("```")[1]


def subjects_on_nats(user: str) -> dict[str, list[str]]:
    """Return what a documented user may publish, and what subscribe."""
    rights = on_nats().partition(f"user: {user},")[2].partition("} }")[0]
    found = re.findall(r"(publish|subscribe): \[(.*?)\]", rights, re.DOTALL)
    return {action: re.findall(r'"([^"]*)"', subjects) for action, subjects in found}
