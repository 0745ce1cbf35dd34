"""Small calls of every CUDA kernel, for compute-sanitizer: python tests/kernels/sanitized.py.

The first example of every operator comes first; what --seconds leave no time for is counted, not
run. `make gpu-check` runs it under memcheck and racecheck.
"""

from __future__ import annotations

import argparse
import itertools
import time

import torch
from bunraku_kernels.examples import Example, examples
from bunraku_kernels.registry import operators
from cases import cast

MOST_ELEMENTS = 20_000


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    until = time.monotonic() + parser.parse_args().seconds
    ran, all_of_them = 0, chosen()
    for example, dtype in all_of_them:
        if time.monotonic() > until:
            break
        run(example, dtype)
        torch.cuda.synchronize()
        ran += 1
    print(f"{ran} of {len(all_of_them)} examples ran")


if __name__ == "__main__":
    main()
