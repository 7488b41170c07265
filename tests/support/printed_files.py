"""A real Asterisk with exactly the files that `ari-proxy asterisk-config` prints."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from ari_proxy.ari.asterisk_config import password_line
from tests.support import process
from tests.support.servers import PASSWORD, Asterisk


@contextmanager
def asterisk(
    version: str,
    directory: Path,
    replaced: Mapping[str, str] = MappingProxyType({}),
    /,
    *options: str,
    **environment: str,
) -> Iterator[Asterisk]:
    """Start an Asterisk with the printed files and that of the password.

    Args:
        version: of Asterisk.
        directory: gets the files.
        replaced: texts of the files, and what stands for them here.
        options: of the command.
        environment: the settings.
    """
    server = Asterisk(version)
    fixed = {"ARI_PROXY_ARI__REST_URL": server.url, "ARI_PROXY_ARI__PASSWORD": PASSWORD}
    printed = process.run("asterisk-config", *options, **fixed, **environment)
    assert printed.returncode == 0, printed.stderr
    assert PASSWORD not in printed.stdout
    shown = printed.stdout
    for former, new in replaced.items():
        shown = shown.replace(former, new)
    _, *parts = re.split(r"^; ---- (\S+) ----\n", shown, flags=re.MULTILINE)
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    files["ari-proxy-password.conf"] = password_line(PASSWORD) + "\n"
    for name, text in files.items():
        (directory / name).write_text(text)
    server.replace(directory / name for name in files)
    server.start()
    try:
        yield server
    finally:
        server.remove()
