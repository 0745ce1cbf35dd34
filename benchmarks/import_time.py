"""How long `import bunraku` takes in a fresh interpreter, beside numpy alone and an empty start.

    python benchmarks/import_time.py

Median of eleven runs each, taken in turn; asked for: under 0.3 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 11
STATEMENTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "bunraku": "import bunraku",
    "bunraku, a model loaded": "import bunraku; bunraku.load_model('radio')",
}


def seconds(statement: str) -> float:
    """Wall time of one fresh interpreter."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - begin


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(RUNS):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    for name, runs in times.items():
        print(f"{name:26} {statistics.median(runs):6.3f} s  (best {min(runs):.3f} s)")


if __name__ == "__main__":
    main()
