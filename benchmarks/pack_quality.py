"""Held-out ESR of the shipped pack, from the `.nam` files, on speech that no training has heard.

    python benchmarks/pack_quality.py --work WORK [--json]

WORK is the folder of `bunraku train pack`; recordings that are not in it are made (needs apt,
lv2proc, guitarix-lv2 and the extra `pack`). Exits with 1 when an effect is above 0.02.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "engine"))

from bunraku import weights
from bunraku.training.pack_recipe import find_circuit, record, test_esr

HELD_OUT_ESR_MAX = 0.02


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {
        name: test_esr(weights.find(name), record(find_circuit(name), arguments.work))
        for name in weights.names()
    }
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:12s} held-out ESR {value:.5f}")
    return int(max(found.values()) > HELD_OUT_ESR_MAX)


if __name__ == "__main__":
    sys.exit(main())
