"""`python -m generator`: writes the generated code, and the facts that it is made from."""

import argparse
import sys
from pathlib import Path

from . import differences, facts, output, sources
from .description import Description, read, written


def main() -> int:
    """Run one of the commands that `--help` lists."""
    parser = argparse.ArgumentParser(prog="python -m generator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write", help="write the generated code from the facts")
    taking = commands.add_parser("facts", help="take the facts out of Asterisk's description")
    taking.add_argument("source", help="a folder with rest-api/api-docs, or the URL of an ARI")
    taking.add_argument("file", type=Path, help="where the facts go, like generator/facts/x.json")
    comparing = commands.add_parser("diff", help="show what a newer description adds")
    comparing.add_argument("old", help="a file with facts, a folder, or the URL of an ARI")
    comparing.add_argument("new", help="the same")
    arguments = parser.parse_args()
    if arguments.command == "facts":
        arguments.file.write_bytes(written(facts.taken(sources.description(arguments.source))))
        return 0
    if arguments.command == "diff":
        sys.stdout.write(f"{differences.between(_any(arguments.old), _any(arguments.new))}\n")
        return 0
    for path in output.write():
        sys.stdout.write(f"{path.relative_to(output.ROOT)}\n")
    return 0


def _any(source: str) -> Description:
    """Return a description from wherever it is."""
    is_facts = source.endswith(".json") and "://" not in source
    return read(Path(source)) if is_facts else facts.taken(sources.description(source))


if __name__ == "__main__":
    sys.exit(main())
