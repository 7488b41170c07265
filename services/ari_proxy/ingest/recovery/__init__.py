"""After each connect: the dialogs are brought up to date with what Asterisk has.

`fetch.py` asks Asterisk, `reconcile.py` decides, `recovery.py` applies the plan.
"""
