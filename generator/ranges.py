"""The lower ends of parameters' ranges, as Asterisk has them."""

from . import corrections
from .description import Operation, Parameter, Resource


def minimum(resource: Resource, operation: Operation, parameter: Parameter) -> int | None:
    """Return the least value of a parameter that Asterisk takes; None if it takes any."""
    known = corrections.MINIMUM.get((resource.name, operation.nickname, parameter.name))
    return parameter.minimum if known is None else known
