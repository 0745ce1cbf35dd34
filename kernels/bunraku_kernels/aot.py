"""Compiling Triton kernels for GPUs that are not there: what each `triton_kernel.py` offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ARCHITECTURES = (80, 90, 100)  # compute capability times ten


@dataclass(frozen=True)
class CompiledAhead:
    """One kernel with the types of its arguments ("*fp32", "i32", ...) and its constants."""

    kernel: Any
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    num_warps: int = 4
    num_stages: int = 3

    def compile(self, architecture: int) -> int:
        """Bytes of machine code for e.g. 90. Needs no GPU, but not the interpreter either."""
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        names = self.kernel.arg_names
        source = ASTSource(
            self.kernel,
            {name: self.signature.get(name, "constexpr") for name in names},
            constexprs={(names.index(name),): value for name, value in self.constants.items()},
        )
        options = {"num_warps": self.num_warps, "num_stages": self.num_stages}
        target = GPUTarget("cuda", architecture, 32)
        return len(triton.compile(source, target=target, options=options).asm["cubin"])
