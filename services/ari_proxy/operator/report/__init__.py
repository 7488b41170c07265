"""Builds the report to the resource's owner: status, conditions and Events. Sans-I/O."""
