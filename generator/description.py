"""The facts of one Asterisk's ARI: names, types, values and error codes, and no sentences.

Asterisk's description (`rest-api/api-docs`) is under the GPL, version 2. These facts are what we
keep of it; every text in the generated code is our own (`generator/words`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

#: The descriptions that the generated code is made from, the newest one last.
FACTS: Final = Path(__file__).parent / "facts"
NEWEST: Final = FACTS / "asterisk-22.json"
#: A field is mandatory only if every one of them has it as required.
OLDER: Final = (FACTS / "asterisk-16.json",)


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base class: what has its default value is not written."""


class Parameter(Facts, frozen=True):
    """One parameter of an operation."""

    name: str
    place: Literal["path", "query", "body"]
    type: str
    required: bool = False
    #: Several values, separated by commas.
    multiple: bool = False
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    default: str | int | bool | None = None


class Operation(Facts, frozen=True):
    """One method of one path."""

    nickname: str
    method: str
    path: str
    returns: str
    since: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    is_websocket: bool = False


class Field(Facts, frozen=True):
    """One field of a model."""

    name: str
    type: str
    required: bool = False
    values: tuple[str, ...] = ()


class Model(Facts, frozen=True):
    """One kind of JSON object."""

    name: str
    fields: tuple[Field, ...] = ()
    subtypes: tuple[str, ...] = ()


class Resource(Facts, frozen=True):
    """Operations on one kind of object, and the models that stand beside them."""

    name: str
    operations: tuple[Operation, ...] = ()
    models: tuple[Model, ...] = ()


class Description(Facts, frozen=True):
    """All of one Asterisk's ARI."""

    resources: tuple[Resource, ...]

    def operations(self) -> Iterator[tuple[Resource, Operation]]:
        """Yield every operation with its resource."""
        for resource in self.resources:
            for operation in resource.operations:
                yield resource, operation

    def models(self) -> dict[str, Model]:
        """Return every model by its name."""
        return {model.name: model for resource in self.resources for model in resource.models}

    def events(self) -> list[Model]:
        """Return the models of events, in the order of their names."""
        models = self.models()
        return [models[name] for name in sorted(models["Event"].subtypes)]


def read(path: Path) -> Description:
    """Return the facts in a file.

    Raises:
        msgspec.ValidationError: it has no facts.
    """
    return msgspec.json.decode(path.read_bytes(), type=Description)


def written(description: Description) -> bytes:
    """Return facts as a file has them: one fact a line, so that a diff shows what has changed."""
    return msgspec.json.format(msgspec.json.encode(description), indent=1) + b"\n"
