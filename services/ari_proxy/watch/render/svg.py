"""A dialog as SVG, for a page or a ticket."""

from html import escape
from typing import Final

from .descriptions import shortened
from .steps import PARTICIPANTS, Step

_XMLNS: Final = "http://www.w3.org/2000/svg"
_LEFT: Final = 100
_GAP: Final = 250
_TOP: Final = 60
_ROW: Final = 26
_X: Final = {name: _LEFT + _GAP * index for index, name in enumerate(PARTICIPANTS)}
_WIDTH: Final = _LEFT * 2 + _GAP * (len(PARTICIPANTS) - 1)
#: Width of a character in pixels.
_CHARACTER: Final = 7
_STYLE: Final = (
    "text{font:12px ui-monospace,monospace;fill:#1f2937}"
    ".line{stroke:#9ca3af}.arrow{stroke:#2563eb;fill:none}.answer{stroke-dasharray:4 3}"
    ".failed{stroke:#dc2626}.time{fill:#6b7280}"
)
_HEAD: Final = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"'
    ' orient="auto"><path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>'
)


def draw(dialog_id: str, steps: list[Step]) -> str:
    """Return the SVG document."""
    height = _TOP + _ROW * (len(steps) + 1)
    parts = [
        f'<svg xmlns="{_XMLNS}" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">',
        f"<title>dialog {escape(dialog_id)}</title><style>{_STYLE}</style>{_HEAD}",
        f'<text x="4" y="16">dialog {escape(dialog_id)}</text>',
    ]
    for name, x in _X.items():
        parts.append(f'<text x="{x}" y="40" text-anchor="middle">{name}</text>')
        parts.append(f'<line class="line" x1="{x}" y1="46" x2="{x}" y2="{height}"/>')
    begun_at = steps[0].at if steps else 0.0
    for index, step in enumerate(steps):
        parts.append(_row(step, _TOP + _ROW * index, step.at - begun_at))
    return "".join([*parts, "</svg>"])


def _row(step: Step, y: int, seconds: float) -> str:
    time = f'<text class="time" x="4" y="{y + 4}">{seconds:.3f}</text>'
    if step.source is None or step.target is None:
        middle = f'<text x="{_WIDTH // 2}" y="{y + 4}" text-anchor="middle">'
        return f"{time}{middle}{escape(step.text)}</text>"
    begin, end = _X[step.source], _X[step.target]
    text = shortened(step.text, abs(end - begin) // _CHARACTER - 2)
    classes = " ".join(["arrow", *["answer"] * step.is_answer, *["failed"] * step.failed])
    return (
        f'{time}<line class="{classes}" x1="{begin}" y1="{y + 6}" x2="{end}" y2="{y + 6}"'
        f' marker-end="url(#head)"/>'
        f'<text x="{(begin + end) // 2}" y="{y}" text-anchor="middle">{escape(text)}</text>'
    )
