"""Virtual environments with less than this one has: what `pip install 'ari-proxy[…]'` gives.

They need no package index: they have links to the files of this environment's packages.
"""

import re
import sys
import tomllib
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_OURS: Final = canonicalize_name(PROJECT["name"])


def environment(directory: Path, *extras: str) -> Path:
    """Make an environment with ari-proxy and the dependencies of extras; return its Python."""
    venv.create(directory, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = directory / "lib" / version / "site-packages"
    for name in distributions(*extras):
        _link(distribution(name), packages)
    (packages / "ari_proxy").symlink_to(ROOT / "services" / "ari_proxy")
    return directory / "bin" / "python"


def distributions(*extras: str) -> set[str]:
    """Return the names of all that ari-proxy with these extras depends on, on this machine."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(_OURS, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        if name != _OURS:
            found.add(name)
        for needed in _needed(name, extra):
            other = canonicalize_name(needed.name)
            waiting += [(other, more) for more in ("", *needed.extras)]
    return found


def declared(extra: str) -> Iterator[Requirement]:
    """Yield what pyproject.toml declares for an extra, or for the base if that is ''."""
    optional: dict[str, list[str]] = PROJECT["optional-dependencies"]
    listed: list[str] = optional[extra] if extra else PROJECT["dependencies"]
    return map(Requirement, listed)


def _needed(name: str, extra: str) -> Iterable[Requirement]:
    if name == _OURS:  # As it stands, not as it was when this environment was made.
        return declared(extra)
    all_of_it = map(Requirement, distribution(name).requires or ())
    return [
        needed
        for needed in all_of_it
        if (needed.marker is None and not extra)
        or (needed.marker is not None and needed.marker.evaluate({"extra": extra}))
    ]


def _link(package: Distribution, packages: Path) -> None:
    for file in package.files or ():
        if ".." in file.parts:  # Programs; and nothing is run from there.
            continue
        target = packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        source = Path(str(package.locate_file(file)))
        if source.exists() and not target.exists():
            target.symlink_to(source)


def constraints(lock: str = "dev") -> str:
    """Return the versions of a lock file, without its hashes: for pip's --constraint."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return "\n".join(re.findall(r"^[\w.-]+==[^ \\]+", text, re.MULTILINE))
