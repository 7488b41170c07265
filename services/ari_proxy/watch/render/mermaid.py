"""A dialog as Mermaid's sequence diagram (mermaid.js.org/syntax/sequenceDiagram)."""

from .steps import PARTICIPANTS, Step

#: Characters with a meaning in a message → Mermaid's entity codes.
_ENTITIES = str.maketrans({"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;", "\n": " "})


def draw(dialog_id: str, steps: list[Step]) -> str:
    """Return the diagram's text."""
    lines = ["sequenceDiagram", "  autonumber", f"  %% dialog {dialog_id}"]
    lines += [f"  participant {name}" for name in PARTICIPANTS]
    return "\n".join([*lines, *map(_line, steps)])


def _line(step: Step) -> str:
    text = step.text.translate(_ENTITIES)
    if step.source is None or step.target is None:
        return f"  Note over Asterisk,command: {text}"
    arrow = "-->>" if step.is_answer else "-x" if step.kind == "unheard" else "->>"
    return f"  {step.source}{arrow}{step.target}: {text}"
