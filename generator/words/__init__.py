"""Our own words for what Asterisk's ARI has: the texts of the generated docstrings."""
