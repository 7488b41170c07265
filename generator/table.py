"""What the proxy itself knows of ARI: `ari/operation_table.py` and `ari/event_types.py`."""

from typing import Final

from .description import Description, Operation, Parameter
from .modules import NOTICE

#: By what an operation returns: parameters in which a client may name it.
_NAMES: Final = {
    "Bridge": frozenset({"bridgeId"}),
    "Channel": frozenset({"channelId", "snoopId"}),
    "Playback": frozenset({"playbackId"}),
}


def of_operations(description: Description) -> str:
    """Return the module with all path templates, and where requests name new objects."""
    templates: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for _, operation in description.operations():
        templates.setdefault(operation.path, []).append(operation.method)
        for parameter in operation.parameters:
            if _names_a_new_object(operation, parameter):
                names[operation.path] = parameter.name
    lines = (f'"{path}": "{" ".join(methods)}",' for path, methods in templates.items())
    newest = "\n".join(lines)
    return f'''"""ARI's path templates, and where requests name new objects.

{NOTICE}
"""

from typing import Final

#: Every path template, with its methods.
TEMPLATES: Final[dict[str, str]] = {{{newest}}}

#: POST on these creates an object, which this parameter names.
NEW_NAMES: Final[dict[str, str]] = {names!r}
'''


def of_event_types(description: Description) -> str:
    """Return the module with the types of all events; not formatted."""
    names = ", ".join(f'"{event.name}"' for event in description.events())
    return f'''"""The types of ARI's events.

{NOTICE}
"""

from typing import Final

#: Every event type: a bounded set of metric labels, not a filter.
EVENT_TYPES: Final = frozenset({{{names},}})
'''


def _names_a_new_object(operation: Operation, parameter: Parameter) -> bool:
    is_own = parameter.place != "path" or operation.path.endswith(f"{{{parameter.name}}}")
    return (
        operation.method == "POST"
        and is_own
        and parameter.name in _NAMES.get(operation.returns, frozenset())
    )
