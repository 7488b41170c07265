"""Takes the facts out of Asterisk's description, which is Swagger 1.1 with additions of its own."""

from typing import Any

from .description import Description, Field, Model, Operation, Parameter, Resource


def taken(resources: dict[str, dict[str, Any]]) -> Description:
    """Return the facts of a description.

    Args:
        resources: the content of its files by resource, as `sources.description` returns it.
    """
    return Description(tuple(_resource(name, resources[name]) for name in sorted(resources)))


def _resource(name: str, content: dict[str, Any]) -> Resource:
    operations = tuple(
        _operation(api["path"], operation)
        for api in content["apis"]
        for operation in api["operations"]
    )
    models = tuple(_model(*item) for item in content.get("models", {}).items())
    return Resource(name, operations, models)


def _operation(path: str, content: dict[str, Any]) -> Operation:
    return Operation(
        nickname=content["nickname"],
        method=content["httpMethod"],
        path=path,
        returns=content["responseClass"],
        since=tuple(content.get("since", ())),
        # Some codes are texts.
        errors=tuple(sorted({int(error["code"]) for error in content.get("errorResponses", ())})),
        parameters=tuple(_parameter(parameter) for parameter in content.get("parameters", ())),
        is_websocket=content.get("upgrade") == "websocket",
    )


def _parameter(content: dict[str, Any]) -> Parameter:
    allowed = content.get("allowableValues", {})
    place = content["paramType"]
    return Parameter(
        name=content["name"],
        place=place,
        type=content["dataType"],
        # endpoints.json calls parts of its paths optional.
        required=place == "path" or content.get("required", False),
        multiple=content.get("allowMultiple", False),
        values=tuple(allowed.get("values", ())),
        minimum=allowed.get("min"),
        maximum=allowed.get("max"),
        default=content.get("defaultValue"),
    )


def _model(name: str, content: dict[str, Any]) -> Model:
    fields = tuple(
        Field(
            name=field,
            type=about["type"],
            required=about.get("required", False),
            values=tuple(about.get("allowableValues", {}).get("values", ())),
        )
        for field, about in content["properties"].items()
    )
    return Model(name, fields, tuple(content.get("subTypes", ())))
