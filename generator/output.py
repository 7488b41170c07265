"""The files that are generated, and what they have to contain."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import modules, structs, table
from .description import NEWEST, OLDER, Description, read

ROOT: Final = Path(__file__).parents[1]
_ARI: Final = ROOT / "services/ari_proxy/ari"
_SIMULATOR: Final = ROOT / "services/ari_proxy/simulator"
_CLIENT: Final = ROOT / "services/ari_proxy/client/ari"


def files() -> dict[Path, str]:
    """Return the content of every generated file.

    Raises:
        MissingWordsError: there are no words of ours for something.
    """
    newest, older = read(NEWEST), [read(path) for path in OLDER]
    return {path: _formatted(path, source) for path, source in _sources(newest, older)}


def write() -> list[Path]:
    """Write every generated file that differs, and return which."""
    changed = []
    for path, text in files().items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path)
    return changed


def _sources(newest: Description, older: list[Description]) -> Iterator[tuple[Path, str]]:
    for name, source in modules.of_operations(newest).items():
        yield _CLIENT / "operations" / name, source
    yield _ARI / "operation_table.py", table.of_operations(newest)
    yield _ARI / "event_types.py", table.of_event_types(newest)
    yield _ARI / "feature_table.py", table.of_features(newest, older[0])
    yield _SIMULATOR / "parameter_table.py", table.of_parameters(newest)
    yield _CLIENT / "resources.py", modules.of_resources(newest)
    yield _CLIENT / "models.py", structs.of_models(newest, older)
    yield _CLIENT / "events.py", structs.of_events(newest, older)


def _formatted(path: Path, source: str) -> str:
    """Return source code as `make format` leaves it."""
    checked = _ruff(path, source, "check", "--quiet", "--fix-only", "--select", "I,F401")
    return _ruff(path, checked, "format", "--quiet")


def _ruff(path: Path, source: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(path), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)  # noqa: S603  our own tool
    return done.stdout
