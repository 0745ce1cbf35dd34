"""Small calls of every CUDA kernel, for compute-sanitizer: python tests/kernels/sanitized.py.

The first example of every operator comes first; what --seconds leave no time for is counted, not
run. Where nothing is run it says why and ends with 5, as pytest does without a test. `make
gpu-check` runs it under memcheck and racecheck.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import torch
from bunraku_kernels.examples import Example, examples
from bunraku_kernels.registry import operators
from cases import cast

MOST_ELEMENTS = 20_000
NOTHING_RAN = 5


def chosen() -> list[tuple[Example, torch.dtype]]:
    """Small examples of the operators that have CUDA kernels here, round robin."""
    by_operator = [
        [
            (example, dtype)
            for example in some
            for dtype in example.dtypes
            if sum(tensor.numel() for tensor in example.tensors.values()) <= MOST_ELEMENTS
        ]
        for name, some in examples().items()
        if "cuda" in operators()[name].availability().here
    ]
    rounds = itertools.zip_longest(*by_operator)
    return [pair for pairs in rounds for pair in pairs if pair is not None]


def run(example: Example, dtype: torch.dtype) -> None:
    tensors = cast(example, dtype, "cuda", grad=True)
    outputs = [o for o in example.run(tensors, "cuda") if o.requires_grad]
    if outputs:
        sum(output.sum() for output in outputs).backward()


def reasons() -> str:
    """Why there is nothing to run."""
    absent = {operator.availability().absent.get("cuda", "") for operator in operators().values()}
    found = sorted(filter(None, absent))
    return "; ".join(found) or f"no example has {MOST_ELEMENTS} elements or fewer"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    until = time.monotonic() + parser.parse_args().seconds
    ran, all_of_them = 0, chosen()
    for example, dtype in all_of_them:
        run(example, dtype)
        torch.cuda.synchronize()
        ran += 1
        if time.monotonic() > until:  # after the run: however short the time, something is proven
            break
    if ran == 0:
        print(f"0 examples ran, nothing is proven: {reasons()}")
        return NOTHING_RAN
    print(f"{ran} of {len(all_of_them)} examples ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
