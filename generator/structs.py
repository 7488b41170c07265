"""The client's models and events: frozen structs."""

import textwrap
from collections.abc import Iterable
from typing import Final

from . import corrections, naming
from .description import Description, Field, Model
from .docstrings import MissingWordsError
from .modules import NOTICE
from .words import models as words

#: Models that are no objects of their own: `client/ari/model.py` has the base of events, and the
#: others are messages that clients never see.
_LEFT_OUT: Final = frozenset(
    {
        "Dialed",
        "Event",
        "Message",
        "MissingParams",
        "RESTHeader",
        "RESTQueryStringParameter",
        "RESTRequest",
    }
)
#: Fields that the base class of events has.
_OF_EVERY_EVENT: Final = frozenset({"application", "timestamp", "type", "asterisk_id"})
_WIDTH: Final = 100


def of_models(newest: Description, older: Iterable[Description]) -> str:
    """Return the module with all models but events; not formatted."""
    models = newest.models()
    events = {event.name for event in newest.events()}
    plain = [model for name, model in models.items() if name not in events | _LEFT_OUT]
    mandatory = _Mandatory(older)
    classes = "\n\n".join(_class(model, "Model", mandatory) for model in _in_order(plain))
    return f'''"""What ARI's operations return, and what events contain.

{NOTICE}
Fields that a newer Asterisk adds are in `raw` alone.
"""

from datetime import datetime
from typing import Any

import msgspec

from .model import Model

{classes}
'''


def of_events(newest: Description, older: Iterable[Description]) -> str:
    """Return the module with all events; not formatted."""
    events = newest.events()
    mandatory = _Mandatory(older)
    classes = "\n\n".join(_class(event, "Event", mandatory) for event in events)
    used = {
        field.type.removeprefix("List[").removesuffix("]")
        for event in events
        for field in event.fields
    }
    imported = ", ".join(sorted(used & newest.models().keys()))
    union = " | ".join(event.name for event in events)
    names = ", ".join(f'"{event.name}"' for event in events)
    return f'''"""ARI's events.

{NOTICE}
"""

from datetime import datetime
from typing import Any

from .model import NEVER, Event
from .models import {imported}

__all__ = ["AnyEvent", {names}]


{classes}


#: Any event that is known here.
AnyEvent = {union}
'''


class _Mandatory:
    """Which fields every description requires, and every Asterisk sends."""

    def __init__(self, older: Iterable[Description]) -> None:
        self._older = [description.models() for description in older]

    def has(self, model: Model, field: Field) -> bool:
        if field.name in corrections.NOT_ALWAYS_SENT.get(model.name, frozenset()):
            return False
        formers = (models[model.name] for models in self._older if model.name in models)
        return field.required and all(
            any(older.name == field.name and older.required for older in former.fields)
            for former in formers
        )


def _in_order(models: list[Model]) -> list[Model]:
    """Return models in the order of their names, but after those that they contain."""
    left = {model.name: model for model in models}
    ordered: list[Model] = []

    def add(model: Model) -> None:
        del left[model.name]
        for field in model.fields:
            inner = field.type.removeprefix("List[").removesuffix("]")
            if inner in left:
                add(left[inner])
        ordered.append(model)

    for name in sorted(left):
        if name in left:
            add(left[name])
    return ordered


def _class(model: Model, base: str, mandatory: _Mandatory) -> str:
    table = words.EVENTS if base == "Event" else words.MODELS
    if model.name not in table:
        raise MissingWordsError(f"write into generator/words/models.py what {model.name} is")
    lines = [
        f"class {model.name}({base}, frozen=True, kw_only=True):",
        f'    """{table[model.name]}"""',
        "",
    ]
    skipped = corrections.NOT_ALWAYS_SENT.get(model.name, frozenset()) & _OF_EVERY_EVENT
    if base == "Event" and skipped:
        lines += ['    application: str = ""', "    timestamp: datetime = NEVER"]
    for field in model.fields:
        if base == "Event" and field.name in _OF_EVERY_EVENT:
            continue
        lines += _field(model, field, is_mandatory=mandatory.has(model, field))
    return "\n".join(lines) + "\n"


def _field(model: Model, field: Field, *, is_mandatory: bool) -> list[str]:
    comment = words.FIELDS.get((model.name, field.name), "")
    if field.values:
        comment = f"{comment} One of {', '.join(f'`{value}`' for value in field.values)}.".strip()
    kind = naming.field_type(field.type)
    name = corrections.PARAMETER_NAMES.get(field.name, field.name)
    declared = f"    {name}: {kind}" + ("" if is_mandatory else " | None")
    if name != field.name:
        default = "" if is_mandatory else "default=None, "
        declared += f' = msgspec.field({default}name="{field.name}")'
    elif not is_mandatory:
        declared += " = None"
    comments = textwrap.wrap(comment, _WIDTH, initial_indent="    #: ", subsequent_indent="    #: ")
    return [*comments, declared]
