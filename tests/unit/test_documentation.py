"""What the documentation says is what the code does."""

import re
import shlex
from pathlib import Path

import pytest
from starlette.routing import Route

from ari_proxy import App, Call
from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi
from ari_proxy.telemetry.metrics import Metrics
from tests.support import api, cc_kinds, command_errors, examples, reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("charts/**/*.md"),
    ROOT / "examples/README.md",
]


@pytest.mark.parametrize("name", ["settings", "metrics", "ariproxy", "logs"])
def test_reference_is_that_of_the_code(name: str) -> None:
    written = (reference.DOCS / f"{name}.md").read_text()

    assert written == getattr(reference, name)(), "make reference writes it anew"


def test_every_error_of_ours_is_in_the_reference() -> None:
    documented = re.findall(
        r"\| (\d{3}) \| `(ari_proxy\.\w+)`", (ROOT / "docs/reference/wire.md").read_text()
    )

    assert {(int(status), error) for status, error in documented} == command_errors.all_pairs()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    code = re.findall(r"`((?:tests|docs|bench)/[\w/.]+)`", text)
    modules = re.findall(
        r"`((?:ari|bus|command|ingest|protocol|settings|telemetry)/[\w/]+\.py)`", text
    )

    links += [link for link in re.findall(r'(?:src|srcset)="([^"]+)"', text) if "://" not in link]
    missing = [link for link in links if not (document.parent / link).exists()]
    missing += [path for path in code if not (ROOT / path).exists()]
    missing += [path for path in modules if not (ROOT / "services/ari_proxy" / path).exists()]
    assert missing == []


def test_commands_that_run_the_examples_are_those_of_the_tests() -> None:
    page = (ROOT / "docs/other-languages.md").read_text()
    block = page.partition("Then, in `examples`:\n\n```sh\n")[2].partition("```")[0]

    run = [shlex.split(line) for line in block.splitlines()]
    assert run == [
        [example.runtime or example.built, *example.arguments]
        for example in examples.EXAMPLES.values()
    ]
    assert set(re.findall(r"\[examples/([\w-]+)\]", page)) == examples.EXAMPLES.keys()


def test_table_of_request_kinds_is_that_of_the_data() -> None:
    page = (ROOT / "docs/coming-from-cycoresystems-ari-proxy.md").read_text()

    assert page.endswith("\n\n" + cc_kinds.table())


def test_commands_in_place_of_request_kinds_are_those_of_asterisk() -> None:
    operations = api.parameters()
    known = {(re.sub(r"{\w+}", "{}", path), m) for path, ms in operations.items() for m in ms}
    commands = re.findall(r"(GET|POST|PUT|DELETE) (/[\w/{}]*)", cc_kinds.table())

    assert len(commands) > 100
    assert [c for c in commands if not _is_operation(known, c[1].rstrip("/"), c[0])] == []


def test_paths_of_the_admin_api_are_those_of_the_reference() -> None:
    api = AdminApi({}, Metrics(), has_dialogs=True)
    served = {route.path for route in admin_api.application(api).routes if isinstance(route, Route)}
    page = (ROOT / "docs/reference/admin-api.md").read_text()

    assert set(re.findall(r"^\| `(/[\w/]+)` \|", page, re.MULTILINE)) == served | {"/console"}


def _is_operation(known: set[tuple[str, str]], path: str, method: str) -> bool:
    """Return whether Asterisk has it; an {id} may stand for several parts of a path."""
    written = re.sub(r"{\w+}", "{}", path)
    more = (written, *(written.replace("{}", n, 1) for n in ("{}/{}", "{}/{}/{}")))
    return any((found, method) in known for found in more)


@pytest.mark.parametrize("page", ["applications", "coming-from-raw-websockets"])
def test_what_applications_shall_call_is_there(page: str) -> None:
    """What stands in a sentence, where no test runs it."""
    text = (ROOT / f"docs/{page}.md").read_text()
    named = {"call": Call, "app": App}
    missing = [
        f"{what}.{name}"
        for what, name in re.findall(r"`(?:await |async with |@)?(call|app)\.(\w+)", text)
        if not hasattr(named[what], name) and name not in _ATTRIBUTES
    ]
    assert missing == []


#: Of a call, set as it is made.
_ATTRIBUTES = {"ari", "channel_id", "dialog_id", "server_id"}
