"""After a connect: the dialogs as Asterisk's channels say they are."""
