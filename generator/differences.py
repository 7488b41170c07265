"""What a newer description has beyond an older one, and what it lacks."""

from dataclasses import dataclass

from .description import Description


@dataclass(frozen=True, slots=True)
class Differences:
    """Names of what was added or removed: `channels.answer`, `channels.answer(channelId)`."""

    operations: tuple[str, ...]
    parameters: tuple[str, ...]
    models: tuple[str, ...]
    fields: tuple[str, ...]

    def __str__(self) -> str:
        lines = []
        for kind in ("operations", "parameters", "models", "fields"):
            names: tuple[str, ...] = getattr(self, kind)
            lines += [f"{len(names)} {kind}", *(f"  {name}" for name in names)]
        return "\n".join(lines)


def between(old: Description, new: Description) -> Differences:
    """Return what `new` has and `old` has not.

    Parameters and fields of what is new altogether are not listed.
    """
    has, had = _names(new), _names(old)
    operations = has[0].keys() - had[0].keys()
    models = has[1].keys() - had[1].keys()
    return Differences(
        tuple(sorted(operations)),
        tuple(_inner(has[0], had[0])),
        tuple(sorted(models)),
        tuple(_inner(has[1], had[1])),
    )


_Names = dict[str, set[str]]


def _names(description: Description) -> tuple[_Names, _Names]:
    operations = {
        f"{resource.name}.{operation.nickname}": {
            parameter.name for parameter in operation.parameters
        }
        for resource, operation in description.operations()
    }
    models = {
        name: {field.name for field in model.fields} for name, model in description.models().items()
    }
    return operations, models


def _inner(has: _Names, had: _Names) -> list[str]:
    return [
        f"{outer}({name})"
        for outer in sorted(has.keys() & had.keys())
        for name in sorted(has[outer] - had[outer])
    ]
