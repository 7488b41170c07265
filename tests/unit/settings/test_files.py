"""Values that stand in files."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.files import read_secret, read_value


def test_file_wins_over_the_value(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-file\r\n")

    assert read_secret("ari.password_file", SecretStr("inline"), str(file)) == "from-file"
    assert read_value("ari.user_file", "inline", "") == "inline"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file"), (b"", "empty"), (b"\n", "empty"), (b"\xff", "not UTF-8")],
)
def test_unusable_file_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=f"^ari.password_file .*/password: .*{problem}"):
        read_secret("ari.password_file", SecretStr(""), str(file))
