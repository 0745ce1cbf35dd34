"""The core's approximations: the header is what its script makes, the errors are as promised."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

native = pytest.importorskip("bunraku._native", reason="the native core is not built")

ROOT = Path(__file__).resolve().parents[2]
CODES = dict(
    tanh=0, hardtanh=1, fasttanh=2, relu=3, leaky=4, leaky_below_one=5, sigmoid=6, silu=7,
    hardswish=8, leaky_hardtanh=9, softsign=10,
)  # fmt: skip
Floats = NDArray[np.float64]
each_isa = pytest.mark.parametrize("isa", native.isa_list().split(","))


def sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -x))


def fast_tanh(x: Floats) -> Floats:
    a, s = np.abs(x), x * x
    top = x * (2.45550750702956 * (1 + a) + (0.893229853513558 + 0.821226666969744 * a) * s)
    bent = np.abs(x + 0.814642734961073 * x * a)
    return top / (2.44506634652299 + (2.44506634652299 + s) * bent)


EXACT: dict[str, tuple[Callable[[Floats], Floats], tuple[float, ...]]] = {
    "tanh": (np.tanh, ()),
    "hardtanh": (lambda x: np.clip(x, -1, 1), ()),
    "fasttanh": (fast_tanh, ()),
    "relu": (lambda x: np.maximum(x, 0), ()),
    "leaky": (lambda x: np.where(x > 0, x, 1.5 * x), (1.5,)),
    "leaky_below_one": (lambda x: np.where(x > 0, x, 0.0625 * x), (0.0625,)),
    "sigmoid": (sigmoid, ()),
    "silu": (lambda x: x * sigmoid(x), ()),
    "hardswish": (lambda x: x * np.clip(x + 3, 0, 6) / 6, ()),
    "leaky_hardtanh": (
        lambda x: np.where(x < -0.5, (x + 0.5) * 0.125 - 0.5,
                           np.where(x > 0.25, (x - 0.25) * 0.25 + 0.25, x)),
        (-0.5, 0.25, 0.125, 0.25),
    ),
    "softsign": (lambda x: x / (1 + np.abs(x)), ()),
}  # fmt: skip
ERROR_BOUND = 8e-7  # of max(1, |x|)


def generator() -> ModuleType:
    path = ROOT / "tools" / "make_tanh_tables.py"
    spec = importlib.util.spec_from_file_location("make_tanh_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(text: str) -> Floats:
    return np.array(re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?(?=f)", text), dtype=np.float64)


def test_header_is_what_the_script_makes() -> None:
    committed = (ROOT / "csrc/core/tanh_tables.hpp").read_text(encoding="utf-8")
    made = generator().header()
    assert re.sub(r"-?\d[\d.e+-]*f", "#", made) == re.sub(r"-?\d[\d.e+-]*f", "#", committed)
    # Another machine's linear algebra may round a fitted coefficient otherwise.
    np.testing.assert_allclose(numbers(made), numbers(committed), rtol=1e-3, atol=1e-12)


@each_isa
@pytest.mark.parametrize("name", sorted(CODES))
def test_activation_against_float64(isa: str, name: str) -> None:
    exact, parameters = EXACT[name]
    wide = np.linspace(-20, 20, 400_001, dtype=np.float32)
    tiny = np.geomspace(1e-20, 1e-2, 2001, dtype=np.float32)
    x = np.concatenate([wide, tiny, -tiny, np.float32([0.0, 1e6, -1e6])])
    y = native.fast_activation(isa, CODES[name], np.array(parameters, np.float32), x)
    wanted = exact(x.astype(np.float64))
    error = np.abs(y - wanted) / np.maximum(1.0, np.abs(x))
    assert error.max() <= ERROR_BOUND, f"at x = {x[error.argmax()]}"


@each_isa
def test_tanh_is_odd_bounded_and_proportional_near_zero(isa: str) -> None:
    tiny = np.geomspace(1e-30, 1e-3, 1000, dtype=np.float32)
    none = np.zeros(0, np.float32)
    y = native.fast_activation(isa, CODES["tanh"], none, tiny)
    np.testing.assert_allclose(y, np.tanh(tiny.astype(np.float64)), rtol=3e-6)
    x = np.linspace(-30, 30, 100_001, dtype=np.float32)
    y = native.fast_activation(isa, CODES["tanh"], none, x)
    np.testing.assert_array_equal(y, -native.fast_activation(isa, CODES["tanh"], none, -x))
    assert np.abs(y).max() <= 1.0 + ERROR_BOUND
    for odd in (np.nan, np.inf, -np.inf):
        y = native.fast_activation(isa, CODES["tanh"], none, np.float32([odd]))
        assert abs(abs(y[0]) - 1.0) <= ERROR_BOUND
