"""Finds the errors with which commands are answered in the code, for docs/reference."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ari_proxy.ari.errors import TransportError

_COMMAND: Final = Path(__file__).parents[2] / "services" / "ari_proxy" / "command"


def all_pairs() -> set[tuple[int, str]]:
    """Return each status that is not Asterisk's with its error, like `ari_proxy.policy`."""
    requests = {(kind.status_code, kind.reason) for kind in TransportError.__subclasses__()}
    return {(status, f"ari_proxy.{reason}") for status, reason in requests | set(_rejections())}


def _rejections() -> Iterator[tuple[int, str]]:
    for path in sorted(_COMMAND.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name("RejectedError"),
                    args=[ast.Constant(int(status)), ast.Constant(str(reason)), *_],
                ):
                    yield status, reason
