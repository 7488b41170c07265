"""Draws dashboards, and fails if a panel has no data.

python -m tests.support.pictures overview.json --prometheus http://127.0.0.1:9090
"""

import argparse
import json
import time
from pathlib import Path

from .model import read
from .picture import draw
from .series import TimeRange, empty, fetch_all
from .themes import THEMES


def main() -> None:
    """Draw what the command line names."""
    options = _options()
    over = TimeRange(options.begin, options.end)
    missing = []
    for path in options.dashboards:
        dashboard = read(json.loads(path.read_text()), options.rate_interval)
        found = fetch_all(options.prometheus, dashboard.panels, over)
        missing += [f"{path.stem}: {title}" for title in empty(dashboard.panels, found)]
        for name in options.themes:
            picture = options.output / f"{path.stem}-{name}.png"
            draw(dashboard, found, over, THEMES[name], picture)
    if missing:
        raise SystemExit(f"panels without data: {', '.join(missing)}")


def _options() -> argparse.Namespace:
    now = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dashboards", type=Path, nargs="+")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its URL")
    parser.add_argument("--begin", type=float, default=now - 3600, help="seconds since 1970")
    parser.add_argument("--end", type=float, default=now, help="seconds since 1970")
    parser.add_argument("--rate-interval", default="1m", help="at least 4 scrape intervals")
    parser.add_argument("--themes", choices=THEMES, nargs="+", default=[*THEMES])
    parser.add_argument("--output", type=Path, default=Path(), help="directory of the pictures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
