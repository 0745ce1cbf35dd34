"""Make csrc/core/tanh_tables.hpp: the coefficients behind the core's tanh.

    python tools/make_tanh_tables.py csrc/core/tanh_tables.hpp

Two approximations, both with an absolute error under 8e-7:

* AVX-512: 32 cubics in a = |x|, eight for each octave of 1 + a * 15 / 8, which the bits of that
  float address without a comparison; they end at a = 8. Each interpolates tanh at the Chebyshev
  nodes of its segment, near the minimax cubic; the first is a * quadratic: exact at 0.
* elsewhere: x * P(x^2) / Q(x^2), quartic over cubic, fitted by Lawson's reweighted least squares.

Everything is computed in float64 and rounded once.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

OCTAVES = 4
SEGMENTS_PER_OCTAVE = 8
TABLE_SCALE = 1.875  # 1 + 8 * 1.875 is 2^4: the segments end at 8, where 1 - tanh is 2.3e-7
TABLE_BOUND = 7.9999
RATIONAL_BOUND = 8.0  # 1 - tanh there is as large as the fit's own error
P_DEGREE, Q_DEGREE = 4, 3
Floats = npt.NDArray[np.float64]


def segment_bounds(index: int) -> tuple[float, float]:
    """The range of a = |x| that cubic `index` (in ascending order) serves."""
    octave, step = divmod(index, SEGMENTS_PER_OCTAVE)
    low = 2.0**octave * (1.0 + step / SEGMENTS_PER_OCTAVE) - 1.0
    return low / TABLE_SCALE, (low + 2.0**octave / SEGMENTS_PER_OCTAVE) / TABLE_SCALE


def chebyshev_nodes(low: float, high: float, count: int) -> list[float]:
    """The zeros of the Chebyshev polynomial of degree `count` on [low, high]."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + half * math.cos(math.pi * (i + 0.5) / count) for i in range(count)]


def interpolate(nodes: list[float], values: list[float]) -> list[float]:
    """Power-basis coefficients, constant first, of the polynomial through the points."""
    differences = list(values)
    for order in range(1, len(nodes)):
        for i in range(len(nodes) - 1, order - 1, -1):
            span = nodes[i] - nodes[i - order]
            differences[i] = (differences[i] - differences[i - 1]) / span
    coefficients = [0.0] * len(nodes)
    for i in range(len(nodes) - 1, -1, -1):  # Horner in the Newton basis: c = c * (a - node) + d
        shifted = [0.0, *coefficients[:-1]]
        coefficients = [s - nodes[i] * c for s, c in zip(shifted, coefficients, strict=True)]
        coefficients[0] += differences[i]
    return coefficients


def cubic_table() -> npt.NDArray[np.float32]:
    """Coefficients [4][32] in ascending order of segment, constant term first."""
    columns = []
    for index in range(OCTAVES * SEGMENTS_PER_OCTAVE):
        low, high = segment_bounds(index)
        if index == 0:
            nodes = chebyshev_nodes(low, high, 3)
            columns.append([0.0, *interpolate(nodes, [math.tanh(a) / a for a in nodes])])
        else:
            nodes = chebyshev_nodes(low, high, 4)
            columns.append(interpolate(nodes, [math.tanh(a) for a in nodes]))
    return np.asarray(columns, dtype=np.float32).T


def rotated(table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """In the order of the low five bits of (bits of 1 + a) >> 20: [1, 2) has exponent 127."""
    return np.roll(table, 3 * SEGMENTS_PER_OCTAVE, axis=1)


def rational() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(P, Q): coefficients in s = x^2, constant first, Q's constant being 1."""
    count, p_terms = 2001, P_DEGREE + 1
    x = np.maximum(
        RATIONAL_BOUND * (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)), 1e-6
    )
    s, target = (x / RATIONAL_BOUND) ** 2, np.tanh(x)
    basis = np.polynomial.chebyshev.chebvander(2 * s - 1, max(P_DEGREE, Q_DEGREE))
    p_basis, q_basis = basis[:, :p_terms], basis[:, : Q_DEGREE + 1]
    weight, denominator = np.full(count, 1.0 / count), np.ones(count)
    best_error, best = math.inf, np.zeros(p_terms + Q_DEGREE + 1)
    for _ in range(400):
        rows = np.hstack([x[:, None] * p_basis, -target[:, None] * q_basis])
        rows *= (np.sqrt(weight) / denominator)[:, None]
        solution = np.linalg.svd(rows, full_matrices=False)[2][-1]
        p, q = p_basis @ solution[:p_terms], q_basis @ solution[p_terms:]
        error = np.abs(x * p / q - target)
        if error.max() < best_error:
            best_error, best = float(error.max()), solution
        weight = weight * (error / error.max() + 1e-3) ** 0.7
        weight, denominator = weight / weight.sum(), np.abs(q)
    p_powers, q_powers = to_powers(best[:p_terms]), to_powers(best[p_terms:])
    return (p_powers / q_powers[0]).astype(np.float32), (q_powers / q_powers[0]).astype(np.float32)


def to_powers(chebyshev: Floats) -> Floats:
    """From Chebyshev polynomials of 2 (x / bound)^2 - 1 to powers of x^2."""
    powers = np.polynomial.Polynomial(np.polynomial.chebyshev.cheb2poly(chebyshev))
    coefficients = powers(np.polynomial.Polynomial([-1.0, 2.0])).coef
    scale = RATIONAL_BOUND ** -(2.0 * np.arange(len(coefficients)))
    return np.asarray(coefficients * scale, dtype=np.float64)


def c_array(name: str, values: npt.NDArray[np.float32], per_line: int = 4) -> str:
    """One constant array in C++."""
    texts = [f"{float(v):.9g}" for v in values]
    texts = [(t if any(c in t for c in ".en") else t + ".0") + "f" for t in texts]
    lines = [
        "    " + ", ".join(texts[i : i + per_line]) + "," for i in range(0, len(texts), per_line)
    ]
    body = "\n".join(lines)
    return f"alignas(64) constexpr float {name}[{len(texts)}] = {{\n{body}\n}};\n"


def header() -> str:
    """The whole header file."""
    p, q = rational()
    table = rotated(cubic_table())
    parts = [
        "// Made by tools/make_tanh_tables.py; do not edit.",
        "// clang-format off",
        "#pragma once\n",
        "namespace bunraku {\n",
        f"constexpr float kTanhTableScale = {TABLE_SCALE}f;",
        f"constexpr float kTanhTableBound = {TABLE_BOUND}f;",
        *[c_array(f"kTanhCubic{power}", table[power], 8) for power in range(4)],
        f"constexpr float kTanhRationalBound = {RATIONAL_BOUND}f;",
        c_array("kTanhP", p),
        c_array("kTanhQ", q),
        "} // namespace bunraku",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(header())
