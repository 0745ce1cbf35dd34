"""The four kinds of implementation, and why one is not at hand.

reference   plain PyTorch, everywhere; defines the operator
native      C++ with SIMD (module `_native`), CPU tensors
triton      Triton, CUDA tensors; with TRITON_INTERPRET=1 its interpreter, CPU tensors, for tests
cuda        CUDA C++ (module `_cuda`), CUDA tensors; where BUNRAKU_CUDA_EMULATED_MODULE names the
            module built against tests/native/cuda_emulator, under that, CPU tensors, for tests

`auto` never takes an interpreter or the emulator: they exist to prove kernels, not to run them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from types import ModuleType

import torch

from bunraku_kernels.errors import ImplementationUnavailableError

BACKENDS = ("reference", "native", "triton", "cuda")


def why_not(backend: str) -> str | None:
    """None where `backend` works in this process, else the reason in words."""
    return {
        "reference": lambda: None,
        "native": _why_not_native,
        "triton": _why_not_triton,
        "cuda": _why_not_cuda,
    }[backend]()


def device_type(backend: str) -> str:
    """The type of device whose tensors `backend` takes in this process ("any", "cpu", "cuda")."""
    if backend == "reference":
        return "any"
    return "cpu" if backend == "native" or is_simulated(backend) else "cuda"


def is_simulated(backend: str) -> bool:
    """Whether `backend` is run by Triton's interpreter or the CUDA emulator in this process."""
    if backend == "triton":
        return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on")
    return backend == "cuda" and bool(os.environ.get("BUNRAKU_CUDA_EMULATED_MODULE"))


def native_module() -> ModuleType:
    """`bunraku_kernels._native`. ImplementationUnavailableError where it was not built."""
    return _load("native", "bunraku_kernels._native")


def cuda_module() -> ModuleType:
    """`bunraku_kernels._cuda`, or its emulated twin. ImplementationUnavailableError without."""
    if not is_simulated("cuda"):
        return _load("cuda", "bunraku_kernels._cuda")
    return _emulated_cuda_module(os.environ["BUNRAKU_CUDA_EMULATED_MODULE"])


def cuda_stream(tensor: torch.Tensor) -> int:
    """The handle of the caller's current stream on the tensor's device (0 under the emulator)."""
    if tensor.device.type != "cuda":
        return 0
    return int(torch.cuda.current_stream(tensor.device).cuda_stream)


def address(tensor: torch.Tensor | None) -> int:
    """Of the first element, for calls into `_native` and `_cuda`; 0 (a null pointer) for None."""
    return 0 if tensor is None else tensor.data_ptr()


def _load(backend: str, name: str) -> ModuleType:
    reason = why_not(backend)
    if reason is not None:
        raise ImplementationUnavailableError(f"'{backend}' is not at hand: {reason}")
    return importlib.import_module(name)


@functools.cache
def _emulated_cuda_module(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise ImplementationUnavailableError(
            f"BUNRAKU_CUDA_EMULATED_MODULE='{path}' is no file: "
            "build the target kernels_cuda_emulated and name what it made"
        )
    spec = importlib.util.spec_from_file_location("_cuda_emulated", path)
    assert spec is not None
    assert spec.loader is not None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        raise ImplementationUnavailableError(f"{path} cannot be loaded: {error}") from error
    return module


@functools.cache
def _missing_module(name: str) -> bool:
    return importlib.util.find_spec(name) is None


def _why_not_native() -> str | None:
    return _broken("bunraku_kernels._native", "install bunraku with a C++17 compiler")


def _why_not_triton() -> str | None:
    if _missing_module("triton"):
        return "Triton is not installed: pip install 'bunraku[kernels]' (Linux only)"
    if is_simulated("triton"):
        return None
    return _why_no_device() or _broken("triton", "install it again")


def _why_not_cuda() -> str | None:
    if is_simulated("cuda"):
        try:
            cuda_module()
        except ImplementationUnavailableError as error:
            return str(error)
        return None
    if os.environ.get("BUNRAKU_CUDA") == "0":
        return "switched off by BUNRAKU_CUDA=0"
    remedy = "install with BUNRAKU_CUDA=1 and nvcc on PATH"
    return _broken("bunraku_kernels._cuda", remedy) or _why_no_device() or _why_too_old()


@functools.cache
def _broken(module: str, remedy: str) -> str | None:
    """Why a compiled module cannot be loaded; one of another build or Python may be there."""
    if _missing_module(module):
        return f"{module} was not built: {remedy}"
    try:
        importlib.import_module(module)
    except ImportError as error:
        return f"{module} cannot be loaded ({str(error).splitlines()[0]}): {remedy}"
    return None


@functools.cache
def _why_too_old() -> str | None:
    major, minor = torch.cuda.get_device_capability()
    if major >= 8:
        return None
    return f"compute capability {major}.{minor}: the CUDA kernels are built for 8.0 and later"


@functools.cache
def _why_no_device() -> str | None:
    if torch.version.cuda is None:
        return f"no device: torch {torch.__version__} was built without CUDA"
    return None if torch.cuda.is_available() else "no device: torch sees no NVIDIA GPU"
