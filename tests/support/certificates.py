"""Certificates of a test authority, as files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


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
        """Return the fields of a settings group for these files."""
        fields = {"ca_file": str(self.authority)}
        if with_client:
            fields |= {"certificate_file": str(self.client), "key_file": str(self.client_key)}
        return fields

    def issue(self, name: str, *identities: str, **dates: datetime) -> tuple[Path, Path]:
        """Issue a certificate; return its file and that of its key.

        Without identities it has no subjectAltName, as old instructions for openssl make it.
        """
        if not identities:
            return self._issue_without_names(name)
        return self._issue(name, *identities, **dates)

    def _issue_without_names(self, name: str) -> tuple[Path, Path]:
        authority = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        signing = serialization.load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        own = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        issued = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pbx.example")]))
            .issuer_name(authority.subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            # Python 3.13 insists on it (RFC 5280, 4.2.1.1).
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
                critical=False,
            )
            .sign(signing, hashes.SHA256())
        )
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}-key.pem"
        certificate.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.TraditionalOpenSSL
        key.write_bytes(
            own.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        )
        return certificate, key
