"""The files of a NATS account, checked before nats-py reads them.

With a credentials file that has no JWT nats-py never stops reading, and blocks the event loop; on a
malformed seed it raises an error outside its own hierarchy.
"""

import re
from pathlib import Path
from typing import Final

from ari_proxy.bus.errors import BusSettingsError

#: docs.nats.io, "Credentials Files": between two lines of hyphens each.
_TOKEN: Final = re.compile(rb"BEGIN NATS USER JWT.*\n\S+")
_SEED: Final = re.compile(rb"BEGIN USER NKEY SEED.*\n(.*)\n")


def check_account_files(credentials_file: str, nkey_seed_file: str) -> None:
    """Check the files of an account; '' is no file.

    Raises:
        BusSettingsError: a file is malformed; names setting and file, none of its content.
    """
    if credentials_file:
        _check_credentials(f"bus.credentials_file {credentials_file}", Path(credentials_file))
    if nkey_seed_file:
        place = f"bus.nkey_seed_file {nkey_seed_file}"
        _check_seed(place, _content(place, Path(nkey_seed_file)).strip())


def _check_credentials(place: str, file: Path) -> None:
    content = _content(place, file)
    if not _TOKEN.search(content):
        raise BusSettingsError(f"{place}: it has no user's JWT; write the file that `nsc` makes")
    seed = _SEED.search(content)
    if seed is None:
        raise BusSettingsError(f"{place}: it has no user's seed; write the file that `nsc` makes")
    _check_seed(place, seed[1])


def _check_seed(place: str, seed: bytes) -> None:
    import nkeys  # noqa: PLC0415  libsodium, for logins with a seed only

    try:
        nkeys.from_seed(bytearray(seed)).wipe()
    except (nkeys.NkeysError, ValueError):
        problem = "its seed is none of an nkey: 58 characters that begin with SU"
    else:
        return
    raise BusSettingsError(f"{place}: {problem}")


def _content(place: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BusSettingsError(f"{place}: {error.strerror}") from error
