"""The base of all settings groups."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of settings: immutable, without unknown names; errors never show a value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )
