"""Asterisk's operations, as the tests of the proxy need them."""

from generator.description import NEWEST, read


def parameters() -> dict[str, dict[str, list[str]]]:
    """Return the names of parameters, by path and method."""
    found: dict[str, dict[str, list[str]]] = {}
    for _, operation in read(NEWEST).operations():
        names = [parameter.name for parameter in operation.parameters]
        found.setdefault(operation.path, {})[operation.method] = names
    return found
