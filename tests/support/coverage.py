"""Branch coverage of the modules that decide: `make cover`."""

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
#: Percent of the branches, and of the statements, of each module that decides.
LEAST: Final = 95.0


def needs_no_server(test: str) -> bool:
    """Return whether a test runs without a server, by its node id; `make cover` measures those.

    These are the unit and property tests, and the contract tests on the bus in memory and on the
    simulator.
    """
    path, _, name = test.partition("::")
    tier, *_, module = PurePath(path).parts[1:]
    _, _, parameters = name.partition("[")
    return tier in {"unit", "property"} or (
        tier == "contract" and (module == "test_simulator.py" or "memory" in parameters)
    )


def deciding_modules(pyproject: Mapping[str, Any]) -> list[str]:
    """Return the sans-I/O modules and packages of import-linter's contract."""
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    return [
        module
        for contract in contracts
        if contract["type"] == "forbidden" and "asyncio" in contract["forbidden_modules"]
        for module in contract["source_modules"]
    ]


def shortfalls(
    files: Mapping[str, Mapping[str, Any]], modules: Iterable[str], least: float = LEAST
) -> Iterator[str]:
    """Yield a line for each file of these modules whose coverage is too low.

    Args:
        files: the files of coverage.py's JSON report, by path.
        modules: names of modules, or of packages with all their modules.
        least: the required percentage of branches and of statements.
    """
    for module in modules:
        paths = [path for path in files if _is_in(path, module)]
        if not paths:
            yield f"{module}: not measured"
        for path in paths:
            summary = files[path]["summary"]
            branches = _percent(summary["covered_branches"], summary["num_branches"])
            statements = _percent(summary["covered_lines"], summary["num_statements"])
            if min(branches, statements) < least:
                yield (
                    f"{path}: {branches:.0f} % of the branches, {statements:.0f} % of the"
                    f" statements; lines {files[path]['missing_lines']}, branches"
                    f" {files[path]['missing_branches']}"
                )


def _is_in(path: str, module: str) -> bool:
    parts = PurePath(path).with_suffix("").parts[1:]  # "services" stands before the package.
    wanted = tuple(module.split("."))
    return parts[: len(wanted)] == wanted


def _percent(covered: int, of: int) -> float:
    return 100 * covered / of if of else 100.0


def main(report: str) -> int:
    """Print the shortfalls; return the exit status."""
    modules = deciding_modules(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    files = json.loads(Path(report).read_text())["files"]
    found = list(shortfalls(files, modules))
    if found:
        print(f"Of these modules, which decide, tests must take {LEAST:.0f} %:", *found, sep="\n")
    else:
        print(
            f"{LEAST:.0f} % or more of each of the {len(modules)} modules and packages that decide"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
