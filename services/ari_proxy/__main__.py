"""`python -m ari_proxy` is `ari-proxy`."""

from ari_proxy.entry_point import main

main()
