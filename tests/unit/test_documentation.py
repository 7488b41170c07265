"""What the documentation says is what the code does."""

import re
from pathlib import Path

import pytest

from tests.support import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")]


@pytest.mark.parametrize("name", ["settings", "metrics", "ariproxy", "logs"])
def test_reference_is_that_of_the_code(name: str) -> None:
    written = (reference.DOCS / f"{name}.md").read_text()

    assert written == getattr(reference, name)(), "make reference writes it anew"


def test_every_error_of_ours_is_in_the_reference() -> None:
    text = "".join(path.read_text() for path in ROOT.glob("services/ari_proxy/command/*.py"))
    ours = set(re.findall(r'RejectedError\(\s*(\d{3}), "(\w+)"', text))
    ours |= {("502", "unreachable"), ("504", "timeout")}

    documented = re.findall(
        r"\| (\d{3}) \| `ari_proxy\.(\w+)`", (ROOT / "docs/reference/wire.md").read_text()
    )

    assert set(documented) == ours


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    code = re.findall(r"`((?:tests|docs|bench)/[\w/.]+)`", text)
    modules = re.findall(
        r"`((?:ari|bus|command|ingest|protocol|settings|telemetry)/\w+\.py)`", text
    )

    missing = [link for link in links if not (document.parent / link).exists()]
    missing += [path for path in code if not (ROOT / path).exists()]
    missing += [path for path in modules if not (ROOT / "services/ari_proxy" / path).exists()]
    assert missing == []
