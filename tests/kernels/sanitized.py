"""Small calls of every CUDA kernel, for compute-sanitizer: python tests/kernels/sanitized.py.

Prints how many examples ran. `make gpu-check` runs it under memcheck and racecheck.
"""

from __future__ import annotations

import torch
from bunraku_kernels.examples import examples
from bunraku_kernels.registry import operators
from cases import cast

MOST_ELEMENTS = 20_000


def main() -> None:
    ran = 0
    for name, some in examples().items():
        if "cuda" not in operators()[name].availability().here:
            continue
        for example in some:
            if sum(tensor.numel() for tensor in example.tensors.values()) > MOST_ELEMENTS:
                continue
            for dtype in example.dtypes:
                tensors = cast(example, dtype, "cuda", grad=True)
                outputs = [o for o in example.run(tensors, "cuda") if o.requires_grad]
                if outputs:
                    sum(output.sum() for output in outputs).backward()
                ran += 1
    torch.cuda.synchronize()
    print(f"{ran} examples ran")


if __name__ == "__main__":
    main()
