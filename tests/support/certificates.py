"""Certificates of an authority of the tests' own, as files."""

from datetime import datetime
from pathlib import Path

import trustme


class Certificates:
    """An authority, a server's certificate for this machine, and a client's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = trustme.CA()
        self.authority = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.authority))
        self.server, self.server_key = self._issue("server", "localhost", "127.0.0.1")
        self.client, self.client_key = self._issue("client", "client@example.org")

    def _issue(self, name: str, *identities: str, **dates: datetime) -> tuple[Path, Path]:
        certificate = self._directory / f"{name}.pem"
        key = self._directory / f"{name}-key.pem"
        issued = self._authority.issue_cert(*identities, **dates)  # type: ignore[arg-type]  # Only dates are given.
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key

    def settings(self, *, with_client: bool) -> dict[str, str]:
        """Return a settings group's fields for them."""
        fields = {"ca_file": str(self.authority)}
        if with_client:
            fields |= {"certificate_file": str(self.client), "key_file": str(self.client_key)}
        return fields

    def issue(self, name: str, *identities: str, **dates: datetime) -> tuple[Path, Path]:
        """Issue another one; return its file and its key's."""
        return self._issue(name, *identities, **dates)
