"""Credentials that change while we run."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ari_proxy.ari.credentials import Credentials
from ari_proxy.connections.credentials import REREAD_SECONDS, RotatingCredentials
from ari_proxy.settings.ari import AriSettings


class Rotation:
    def __init__(self, file: Path) -> None:
        self.time = 0.0
        self._file = file
        self.write("old")
        settings = AriSettings(user="ari", password_file=str(file))
        self.credentials = RotatingCredentials(settings, clock=lambda: self.time)

    def write(self, password: str) -> None:
        self._file.write_text(password)

    def log_in(self, right: str) -> bool:
        """Return whether somebody gets in who tries again as long as there is something to try."""
        for _ in range(2):
            used = self.credentials.current()
            if used.authorization == self.with_password(right):
                return True
            if not self.credentials.refused(used):
                return False
        return self.credentials.current().authorization == self.with_password(right)

    @staticmethod
    def with_password(password: str) -> str:
        return Credentials("ari", password).authorization


@pytest.fixture
def rotation(tmp_path: Path) -> Rotation:
    return Rotation(tmp_path / "password")


def test_file_that_changes_is_read_again(rotation: Rotation) -> None:
    rotation.write("new")
    assert rotation.credentials.current().authorization == rotation.with_password("old")
    rotation.time += REREAD_SECONDS + 1
    assert rotation.credentials.current().authorization == rotation.with_password("new")


def test_refusal_has_the_file_read_at_once(rotation: Rotation) -> None:
    rotation.write("new")

    assert rotation.log_in("new")


def test_former_password_serves_as_long_as_asterisk_knows_no_other(rotation: Rotation) -> None:
    rotation.write("new")
    for _ in range(3):
        rotation.time += REREAD_SECONDS + 1
        assert rotation.log_in("old")
    assert rotation.log_in("new")


def test_wrong_password_is_tried_once(rotation: Rotation) -> None:
    assert not rotation.credentials.refused(rotation.credentials.current())


def test_file_that_is_being_replaced_changes_nothing(rotation: Rotation, tmp_path: Path) -> None:
    (tmp_path / "password").unlink()
    with capture_logs() as logs:
        for _ in range(3):
            rotation.time += REREAD_SECONDS + 1
            assert rotation.credentials.current().authorization == rotation.with_password("old")

    # Once: whoever has removed it has to learn of it.
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("settings.kept", "warning")
    assert str(tmp_path / "password") in line["problem"]
    rotation.write("new")
    rotation.time += REREAD_SECONDS + 1
    assert rotation.credentials.current().authorization == rotation.with_password("new")
