"""Files that settings name: secrets, accounts, URLs and certificates."""

from pathlib import Path
from typing import Protocol

from .errors import SettingsError


class Secret(Protocol):
    """A value that shows in no repr, like pydantic's SecretStr; applications have no pydantic."""

    def get_secret_value(self) -> str:
        """Return the value."""


def read_secret(setting: str, secret: Secret, file: str) -> str:
    """Return a secret: the content of its file if it has one, else `secret`.

    Raises:
        SettingsError: the file can't be read, is not UTF-8 or is empty.
    """
    return read_value(setting, secret.get_secret_value(), file)


def read_value(setting: str, value: str, file: str) -> str:
    """Return a value: the content of its file if it has one, else `value`.

    Args:
        setting: full name of the setting with the file, as `ari.user_file`; errors begin with it.
        value: used if `file` is empty.
        file: a path, or ''.

    Raises:
        SettingsError: the file can't be read, is not UTF-8 or is empty.
    """
    if not file:
        return value
    text = read_text(setting, file)
    if not text:
        raise SettingsError([f"{setting} {file}: the file is empty"])
    return text


def read_text(setting: str, file: str) -> str:
    """Return the text of a file without its last line break.

    Raises:
        SettingsError: it can't be read or is not UTF-8.
    """
    try:
        return read_bytes(setting, file).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError([f"{setting} {file}: the file is not UTF-8 text"]) from error


def read_bytes(setting: str, file: str) -> bytes:
    """Return the content of a file.

    Raises:
        SettingsError: it can't be read.
    """
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError([f"{setting} {file}: {error.strerror}"]) from error
