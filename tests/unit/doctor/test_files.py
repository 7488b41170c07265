"""Files that the settings name, and what can be wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from ari_proxy.doctor import files
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings, load
from tests.support import nats_accounts
from tests.support.certificates import Certificates

SECRETS = [
    "ari.user_file",
    "ari.password_file",
    "bus.user_file",
    "bus.password_file",
    "bus.token_file",
    "lease.token_file",
]
PARSED = ["bus.url_file", "bus.credentials_file", "bus.nkey_seed_file"]
CERTIFICATES = [
    "ari.ca_file",
    "ari.certificate_file",
    "ari.listen_certificate_file",
    "bus.ca_file",
    "bus.certificate_file",
    "lease.ca_file",
]
KEYS = ["ari.key_file", "bus.key_file"]
#: Not without ari.listen_certificate_file.
LISTENING = ["ari.listen_key_file", "ari.listen_client_ca_file"]


def settings_with(files_of: dict[str, Path]) -> Settings:
    groups: dict[str, Any] = {}
    for setting, file in files_of.items():
        group, _, name = setting.partition(".")
        groups.setdefault(group, {})[name] = str(file)
    return load(None, **groups)


def problem_of(setting: str, file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        files.check(settings_with({setting: file}))
    (problem,) = caught.value.problems
    return problem


def test_all_settings_with_files_are_known_here() -> None:
    dumped = load().model_dump()
    named = {
        f"{group}.{name}"
        for group, fields in dumped.items()
        if isinstance(fields, dict)
        for name in fields
        if name.endswith("_file")
    }

    assert named == {*SECRETS, *PARSED, *CERTIFICATES, *KEYS, *LISTENING}


@pytest.mark.parametrize("setting", LISTENING)
def test_file_beside_the_listeners_certificate_is_named(setting: str, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    missing = tmp_path / "missing"
    found = settings_with({"ari.listen_certificate_file": certificates.server, setting: missing})

    with pytest.raises(SettingsError) as caught:
        files.check(found)

    assert caught.value.problems == [f"{setting} {missing}: No such file or directory"]


@pytest.mark.parametrize("setting", [*SECRETS, *PARSED, *CERTIFICATES, *KEYS])
def test_file_that_cannot_be_read_is_named(setting: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing"

    assert problem_of(setting, missing) == f"{setting} {missing}: No such file or directory"
    assert problem_of(setting, tmp_path) == f"{setting} {tmp_path}: Is a directory"


@pytest.mark.parametrize("setting", [*SECRETS, *PARSED, *CERTIFICATES])
def test_empty_file_is_named(setting: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("\n")

    assert str(file) in problem_of(setting, file)


@pytest.mark.parametrize("setting", [*SECRETS, "bus.url_file"])
def test_text_that_is_none_is_named(setting: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hush\xff")

    assert problem_of(setting, file) == f"{setting} {file}: the file is not UTF-8 text"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("amqp://ari:hush@localhost", "must begin with one of nats://"),
        ("nats://ari:hu#sh@localhost", "# as %23"),
        ("nats://ari:hush@localhost:port", "port"),
    ],
)
def test_malformed_url_is_named_without_its_password(
    content: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(content)

    told = problem_of("bus.url_file", file)

    assert told.startswith(f"bus.url_file {file}: ")
    assert problem in told
    assert "hu" not in told.removeprefix(f"bus.url_file {file}")


@pytest.mark.parametrize("cut", ["BEGIN NATS USER JWT", "BEGIN USER NKEY SEED", "SU"])
def test_credentials_that_lack_something_are_named(cut: str, tmp_path: Path) -> None:
    file = tmp_path / "user.creds"
    nats_accounts.account(file)
    files.check(settings_with({"bus.credentials_file": file}))
    seed = file.read_text().partition("SU")[2][:56]
    file.write_text(file.read_text().replace(cut, "hush"))

    told = problem_of("bus.credentials_file", file)

    assert told.startswith(f"bus.credentials_file {file}: ")
    assert seed not in told


def test_seed_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "seed"
    nats_accounts.user_key(file)
    files.check(settings_with({"bus.nkey_seed_file": file}))
    file.write_text("SUhush")

    told = problem_of("bus.nkey_seed_file", file)

    assert told.startswith(f"bus.nkey_seed_file {file}: its seed is none")
    assert "hush" not in told


def test_certificates_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    ours = Certificates(tmp_path)
    right = {"ari.certificate_file": ours.client, "ari.key_file": ours.client_key}
    files.check(settings_with(right))

    with pytest.raises(SettingsError, match=r"ari: the certificates of .*-key.pem can't be used"):
        files.check(settings_with(right | {"ari.key_file": ours.server_key}))


def test_each_bad_file_has_its_line(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    named = [*SECRETS, *PARSED, *CERTIFICATES, *KEYS]

    with pytest.raises(SettingsError) as caught:
        files.check(settings_with(dict.fromkeys(named, missing)))

    assert {problem.split()[0] for problem in caught.value.problems} == set(named)


def test_lease_of_a_pod_is_not_looked_for_elsewhere() -> None:
    files.check(load(lease={"kind": "kubernetes", "name": "x"}))
