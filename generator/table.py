"""What the proxy itself knows of ARI: operations, event types, and what newer Asterisks have."""

from collections.abc import Iterator
from typing import Final

from . import naming, ranges, versions
from .description import Description, Operation, Parameter, Resource
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


def of_features(description: Description, older: Description) -> str:
    """Return the module with what Asterisks have got since an older one; not formatted."""
    had = {(operation.method, operation.path) for _, operation in older.operations()}
    entries = []
    for resource, operation in _methods(description):
        name = f"{resource.name}.{naming.method(resource, operation)}"
        where = f"{operation.method!r}, {operation.path!r}"
        if (operation.method, operation.path) not in had:
            since = versions.literal(versions.since(resource, operation))
            entries.append(f"{name!r}: ({where}, '', {since}),")
        for parameter, newer in versions.newer(resource, operation).items():
            since = versions.literal(newer)
            entries.append(f"'{name}({parameter})': ({where}, {parameter!r}, {since}),")
    return f'''"""What newer Asterisks have in ARI.

{NOTICE}
"""

from typing import Final

from .versions import Since

#: By the client's method, like `events.claim` or `channels.set_variable(report_events)`:
#: HTTP method, path, the parameter or '', and since when Asterisk has it.
NEWER: Final[dict[str, tuple[str, str, str, Since]]] = {{{"".join(entries)}}}
'''


def of_parameters(description: Description) -> str:
    """Return the module with what the simulator checks; not formatted."""
    lines = []
    for resource, operation in description.operations():
        queries = [parameter for parameter in operation.parameters if parameter.place == "query"]
        required = tuple(parameter.name for parameter in queries if parameter.required)
        values = {parameter.name: parameter.values for parameter in queries if parameter.values}
        minimum = {p.name: ranges.minimum(resource, operation, p) for p in queries}
        minimum = {name: least for name, least in minimum.items() if least is not None}
        if (required or values or minimum) and not operation.is_websocket:
            where = f"({operation.method!r}, {operation.path!r})"
            lines.append(f"{where}: Checked({required!r}, {values!r}, {minimum!r}),")
    return f'''"""Parameters whose values the description of ARI restricts.

{NOTICE}
"""

from typing import Final, NamedTuple


class Checked(NamedTuple):
    """The parameters of an operation."""

    required: tuple[str, ...]
    #: By parameter: the values that it may have.
    values: dict[str, tuple[str, ...]]
    #: By parameter: its least value.
    minimum: dict[str, int]


#: By method and path template.
CHECKED: Final[dict[tuple[str, str], Checked]] = {{{"".join(lines)}}}
'''


def _methods(description: Description) -> Iterator[tuple[Resource, Operation]]:
    for resource in description.resources:
        for operation in naming.methods(resource):
            yield resource, operation


def _names_a_new_object(operation: Operation, parameter: Parameter) -> bool:
    is_own = parameter.place != "path" or operation.path.endswith(f"{{{parameter.name}}}")
    return (
        operation.method == "POST"
        and is_own
        and parameter.name in _NAMES.get(operation.returns, frozenset())
    )
