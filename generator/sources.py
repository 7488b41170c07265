"""Reads Asterisk's own description: from a folder, or from a running server."""

import base64
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

#: The listing of a description's files.
LISTING: Final = "resources.json"
_SECONDS: Final = 10.0

#: Returns the content of one of a description's files.
_Read = Callable[[str], dict[str, Any]]


def description(source: str) -> dict[str, dict[str, Any]]:
    """Return a description's content by resource.

    Args:
        source: a folder with Asterisk's `rest-api/api-docs`, or the URL of a running server's ARI,
            like `http://user:password@127.0.0.1:8088/ari`.

    Raises:
        OSError: it can't be read.
    """
    read = _from_server(source) if "://" in source else _from_folder(Path(source))
    listing = read(LISTING)
    names = [entry["path"].rpartition("/")[2].partition(".")[0] for entry in listing["apis"]]
    return {name: read(f"{name}.json") for name in names}


def _from_folder(folder: Path) -> _Read:
    def read(name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((folder / name).read_bytes())
        return content

    return read


def _from_server(url: str) -> _Read:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"{parts.scheme}:// is no URL of ARI; http:// and https:// are")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    host = parts.netloc.rpartition("@")[2]
    root = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}

    def read(name: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{root}/api-docs/{name}", headers=headers)  # noqa: S310  http or https, see above
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310  the same
            content: dict[str, Any] = json.load(response)
        return content

    return read
