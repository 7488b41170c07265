"""Finds the log events in the code, for docs/reference/logs.md (`make reference`)."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_PACKAGE: Final = ROOT / "services" / "ari_proxy"
_LEVELS: Final = ("debug", "info", "warning", "error", "exception")

HEAD: Final = """# Logs

Written from the code by `make reference`; a test compares the two.

Each line is one change of state: an `event` with fields, and with `ts` (UTC), `level`, `component`
and `server_id`. In containers lines are JSON (`log.format`), on a terminal text for people; those
of libraries (uvicorn, nats-py, kopf) have the same form, with their message as `event`. Nothing is
logged per event or command above `debug`, and no secret anywhere: each test's logs are searched.

| event | level | fields | where |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, order=True)
class LogEvent:
    """One call that logs."""

    name: str
    level: str
    fields: tuple[str, ...]
    module: str


def text() -> str:
    """Return docs/reference/logs.md."""
    rows = [
        f"| `{event.name}` | {event.level} | {', '.join(f'`{x}`' for x in event.fields)} "
        f"| `{event.module}` |"
        for event in sorted(set(_all()))
    ]
    return HEAD + "\n".join(rows) + "\n"


def _all() -> Iterator[LogEvent]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (found := _event(node)) is not None:
                name, level = found
                fields = tuple(sorted(word.arg for word in node.keywords if word.arg))
                yield LogEvent(name, level, fields, str(path.relative_to(_PACKAGE)))


def _event(call: ast.Call) -> tuple[str, str] | None:
    """Return name and level of a log event, if the call logs one."""
    if not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    name = call.args[0].value
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        if function.value.id == "_log" and function.attr in _LEVELS:
            return str(name), function.attr.replace("exception", "error")
    elif isinstance(function, ast.Name) and function.id == "log" and "." in str(name):
        return str(name), "by importance"
    return None
