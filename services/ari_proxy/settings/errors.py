"""Errors of the settings.

SettingsError   with one line per bad value: its place, what is wrong, what is allowed
"""


class SettingsError(Exception):
    """The settings can't be used."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
