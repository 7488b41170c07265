"""A dialog's ladder as text, line by line.

seconds Asterisk      ingest                    application                command
0.000 │              │── AppStart demo 1.2 ───────▶│                            │
0.001 │── 1 StasisStart ──────────────────────────▶│                            │
"""

from typing import Final

from .descriptions import shortened
from .steps import PARTICIPANTS, Participant, Step

#: Column of each participant's line.
COLUMNS: Final[dict[Participant, int]] = {
    "Asterisk": 0,
    "ingest": 13,
    "application": 57,
    "command": 100,
}
_WIDTH: Final = 101
_TIME: Final = 10


def head(dialog_id: str) -> list[str]:
    """Return the header lines."""
    names = [" "] * (_WIDTH + max(map(len, PARTICIPANTS)))
    for name, column in COLUMNS.items():
        begin = max(column - len(name) // 2, 0) if column else 0
        names[begin : begin + len(name)] = name
    return [f"dialog {dialog_id}", " " * _TIME + "".join(names).rstrip()]


def line(step: Step, begun_at: float) -> str:
    """Return a step as a line; its time counts from `begun_at`, in Unix seconds."""
    row = [" "] * _WIDTH
    for column in COLUMNS.values():
        row[column] = "│"
    if step.source is None or step.target is None:
        # Not cut off: why a dialog has ended may be the longest text of all.
        row[2 : _WIDTH - 1] = f" {step.text}".ljust(_WIDTH - 3)
    else:
        _arrow(row, step, COLUMNS[step.source], COLUMNS[step.target])
    return f"{step.at - begun_at:{_TIME - 1}.3f} {''.join(row)}"


def _arrow(row: list[str], step: Step, source: int, target: int) -> None:
    dash = "┄" if step.is_answer else "─"
    left, right = sorted((source, target))
    row[left + 1 : right] = dash * (right - left - 1)
    text = f" {shortened(step.text, right - left - 8)} "
    row[left + 3 : left + 3 + len(text)] = text
    if step.kind == "unheard":
        row[right - 1] = "✗"
    elif target > source:
        row[right - 1] = "▶"
    else:
        row[left + 1] = "◀"


def draw(dialog_id: str, steps: list[Step]) -> str:
    """Return a whole ladder."""
    begun_at = steps[0].at if steps else 0.0
    return "\n".join([*head(dialog_id), *(line(step, begun_at) for step in steps)])
