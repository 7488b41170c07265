"""`python -m ari_proxy` is `ari-proxy`."""

from ari_proxy.cli import main

main()
