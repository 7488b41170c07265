"""Names and types of the generated code, from those of the description."""

import re
from collections.abc import Iterator

from . import corrections
from .description import Operation, Parameter, Resource

#: Python's types of Asterisk's, in models.
_FIELD_TYPES = {
    "string": "str",
    "int": "int",
    "long": "int",
    "double": "float",
    "boolean": "bool",
    "Date": "datetime",
    "object": "dict[str, Any]",
}


def snake(name: str) -> str:
    """Return a name in Python's form: `appArgs` is `app_args`, `sendDTMF` is `send_dtmf`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return split.lower()


def pascal(name: str) -> str:
    """Return a class's name: `deviceStates` is `DeviceStates`."""
    return name[0].upper() + name[1:]


def constant(name: str) -> str:
    """Return a constant's name: `sendDTMF` is `_SEND_DTMF`."""
    return f"_{snake(name).upper()}"


def method(resource: Resource, operation: Operation) -> str:
    """Return the method's name of an operation."""
    known = corrections.METHOD_NAMES.get((resource.name, operation.nickname))
    return known or snake(operation.nickname)


def argument(parameter: Parameter) -> str:
    """Return the argument's name of a parameter."""
    return corrections.PARAMETER_NAMES.get(parameter.name) or snake(parameter.name)


def field_type(name: str) -> str:
    """Return the annotation of a model's field."""
    inner = re.fullmatch(r"List\[(\w+)\]", name)
    if inner:
        return f"tuple[{field_type(inner[1])}, ...]"
    return _FIELD_TYPES.get(name, name)


def argument_type(resource: Resource, operation: Operation, parameter: Parameter) -> str:
    """Return the annotation of an argument."""
    if parameter.place == "body":
        known = corrections.BODIES.get((resource.name, operation.nickname))
        return known or "Mapping[str, str]"
    if parameter.values:
        one = f"Literal[{', '.join(repr(value) for value in parameter.values)}]"
    else:
        one = {"int": "int", "long": "int", "boolean": "bool"}.get(parameter.type, "str")
    return f"{one} | Sequence[{one}]" if parameter.multiple else one


def methods(resource: Resource) -> Iterator[Operation]:
    """Yield the operations that become methods."""
    nicknames = {operation.nickname for operation in resource.operations}
    for operation in resource.operations:
        is_twin = operation.nickname.removesuffix(corrections.TWIN_ENDING) in nicknames - {
            operation.nickname
        }
        if not is_twin and not operation.is_websocket:
            yield operation
