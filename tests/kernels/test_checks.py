"""The shared first checks of arguments, and that the operators' arguments meet them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.checks import flag, is_one_of, number, stream_count, tensor_given, whole_number
from bunraku_kernels.dilated_conv import dilated_conv
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.upfirdn import upfirdn, upfirdn_bias_act
from bunraku_kernels.upsample_conv import upsample_conv2d

pytestmark = pytest.mark.cpu_only


def test_what_is_right_passes() -> None:
    x = torch.zeros(2)
    assert tensor_given("x", x) is x
    assert whole_number("n", 0) == 0
    assert whole_number("n", -3) == -3
    assert whole_number("n", np.int32(4), 4) == 4
    assert type(whole_number("n", np.int64(4))) is int
    assert number("a", 2) == 2.0
    assert type(number("a", 2)) is float
    assert number("a", np.float32(0.5)) == 0.5
    assert flag("b", False) is False


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(2), "x is a numpy.ndarray: a torch.Tensor is wanted"),
        ([1.0], "x is a list: a torch.Tensor is wanted; torch.as_tensor makes one"),
        (None, "x is a NoneType"),
        (torch.eye(2).to_sparse(), r"x is laid out as torch.sparse_coo.*to_dense\(\)"),
        (torch.zeros(2, dtype=torch.complex64), r"x is torch.complex64: real.*view_as_real\(\)"),
        (torch.nested.nested_tensor([torch.zeros(2)]), "x is a nested tensor: .*to_padded_tensor"),
    ],
)
def test_what_is_no_dense_real_tensor_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tensor_given("x", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2.0, "up=2.0: a whole number from 1 is wanted, as an int"),
        ("2", "up='2': a whole number from 1"),
        (True, "up=True: a whole number from 1"),
        (None, "up=None"),
        (torch.tensor(2), r"up=tensor\(2\)"),
        (0, "up=0: a whole number from 1 is wanted"),
        (list(range(99)), r"up=\[0, 1, .*\.\.\.: a whole"),
    ],
)
def test_what_is_no_whole_number_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        whole_number("up", value, 1)


@pytest.mark.parametrize(
    "value", ["2", None, True, 1j, math.nan, -math.inf, 10**400, torch.tensor(2.0), (1.0,)]
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"gain=.*: a finite number is wanted"):
        number("gain", value)


@pytest.mark.parametrize("value", [1, None, "yes", torch.tensor(True)])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"flip=.*: True or False is wanted"):
        flag("flip", value)


# ---- the operators that any model may call -------------------------------------------------------

SPARSE = torch.eye(4)[None, None].to_sparse()
COMPLEX = torch.zeros(1, 2, 4, 4, dtype=torch.complex64)
EIGHT_BITS = torch.zeros(1, 2, 4, 4).to(torch.float8_e4m3fn)
NO_TENSOR = [
    (np.zeros((1, 2, 4, 4), np.float32), "a numpy.ndarray: a torch.Tensor is wanted"),
    ([[1.0]], "a list: a torch.Tensor is wanted"),
    (SPARSE, "laid out as torch.sparse_coo"),
]
NO_INPUT = [
    *NO_TENSOR,
    (None, "a NoneType"),
    (COMPLEX, "torch.complex64: real numbers"),
    (EIGHT_BITS, "torch.float8_e4m3fn"),
    (torch.zeros(1, 2, 4, 4, dtype=torch.bool), "torch.bool"),
]
NO_NAMES = [np.zeros(2), ["a"], {"a": 1}, None, 1.5, torch.zeros(2, 3, 4), "a\n" * 99]
NO_NUMBERS = ["2", True, np.nan, (1.0,), torch.tensor(0.5)]
NO_FACTORS = [2.0, "2", None, True, (1.5, 1), (True, 1), 2**40, -1, [], [[1, 1]]]
NO_PADDINGS = [1.5, "1234", (1,), (0.5, 0, 0, 0), (1, 1, 1, True), None, 2**40, []]
X, F = torch.zeros(1, 2, 4, 4), torch.ones(2)
SIGNAL, WEIGHT = torch.zeros(1, 2, 6), torch.zeros(4, 2, 3)


def refused(message: str) -> Any:
    return pytest.raises(InvalidInputError, match=message)


@pytest.mark.parametrize("value", NO_NAMES)
def test_what_is_no_name_is_refused_in_one_line(value: Any) -> None:
    assert not is_one_of(value, ("a", "b"))
    weight = torch.zeros(4, 2, 3, 3)
    for name, call in {
        "impl": lambda: bias_act(X, impl=value),
        "activation": lambda: bias_act(X, activation=value),
        "mode": lambda: upsample_conv2d(X, weight, mode=value),
        "up": lambda: upfirdn(X, F, up=[value, value]),
        "padding": lambda: upfirdn(X, F, padding=[value, value]),
    }.items():
        with refused(rf"^{name}=[^\n]{{1,60}}: [^\n]*$"):
            call()
    with refused(r"^activation=[^\n]*or 'gated'$"):
        dilated_conv(SIGNAL, WEIGHT, activation=value)


@pytest.mark.parametrize(("x", "message"), NO_INPUT)
def test_inputs_that_are_no_signals_are_refused(x: Any, message: str) -> None:
    with refused(f"x is {message}"):
        bias_act(x)
    with refused(f"x is {message}"):
        upfirdn(x, F)
    with refused(f"x is {message}"):
        upfirdn_bias_act(x, F)
    with refused(f"x is {message}"):
        dilated_conv(x, WEIGHT)


@pytest.mark.parametrize(("tensor", "message"), NO_TENSOR)
def test_further_arguments_that_are_no_tensors_are_refused(tensor: Any, message: str) -> None:
    with refused(f"bias is {message}"):
        bias_act(X, tensor)
    with refused(f"f is {message}"):
        upfirdn(X, tensor)
    with refused(f"f is {message}"):
        upfirdn_bias_act(X, tensor)
    with refused(f"bias is {message}"):
        upfirdn_bias_act(X, F, tensor)
    with refused(f"weight is {message}"):
        dilated_conv(SIGNAL, tensor)
    for name in ("bias", "condition", "mixin", "history", "residual_weight", "skip_bias"):
        with refused(f"{name} is {message}"):
            dilated_conv(SIGNAL, WEIGHT, **{name: tensor})


def test_tensors_of_another_device_are_refused() -> None:
    with refused("bias is torch.float32 .* on meta: x wants torch.float32 .* on cpu"):
        bias_act(X, torch.zeros(2, device="meta"))
    with refused("f is torch.float32 on meta: float32 on cpu is wanted"):
        upfirdn(X, F.to("meta"))
    with refused("bias is torch.float32 .* on meta: x wants torch.float32 .* on cpu"):
        upfirdn_bias_act(X, F, torch.zeros(2, device="meta"))
    with refused("weight is torch.float32 on meta: x wants torch.float32 on cpu"):
        dilated_conv(SIGNAL, WEIGHT.to("meta"))


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_settings_that_are_no_numbers_are_refused(value: Any) -> None:
    for name in ("alpha", "gain", "clamp"):
        with refused(f"{name}=.*: a finite number"):
            bias_act(X, **{name: value})
        with refused(f"{name}=.*: a finite number"):
            upfirdn_bias_act(X, F, **{name: value})
    with refused("gain=.*: a finite number"):
        upfirdn(X, F, gain=value)
    with refused("filter_gain=.*: a finite number"):
        upfirdn_bias_act(X, F, filter_gain=value)
    with refused("alpha=.*: a finite number"):
        dilated_conv(SIGNAL, WEIGHT, alpha=value)


@pytest.mark.parametrize("value", [1.0, "1", None, True])
def test_settings_that_are_no_whole_numbers_are_refused(value: Any) -> None:
    with refused("dim=.*: a whole number is wanted"):
        bias_act(X, torch.zeros(2), dim=value)
    with refused("dilation=.*: a whole number is wanted"):
        dilated_conv(SIGNAL, WEIGHT, dilation=value)


@pytest.mark.parametrize("value", NO_FACTORS)
def test_factors_that_are_none_are_refused(value: Any) -> None:
    for name in ("up", "down"):
        with refused(f"{name}=.*: whole numbers from 1, one or .x, y., to 1073741824"):
            upfirdn(X, F, **{name: value})
        with refused(f"{name}=.*: a whole number from 1, to 1073741824"):
            upfirdn(X[0], F, **{name: value})


@pytest.mark.parametrize("value", NO_PADDINGS)
def test_paddings_that_are_none_are_refused(value: Any) -> None:
    with refused("padding=.*: one whole number or .x0, x1, y0, y1., to 1073741824"):
        upfirdn(X, F, padding=value)
    with refused("padding=.*: one whole number or .before, after., to 1073741824"):
        upfirdn(X[0], F, padding=value)


def test_other_settings_are_refused_in_words() -> None:
    with refused("flip_filter=1: True or False"):
        upfirdn(X, F, flip_filter=1)  # type: ignore[arg-type]
    with refused("flip_filter='no': True or False"):
        upfirdn_bias_act(X, F, flip_filter="no")  # type: ignore[arg-type]
    for activation in (None, ["relu"], 3):
        with refused("activation=.*: choose one of linear"):
            bias_act(X, activation=activation)  # type: ignore[arg-type]
        with refused("activation=.*: choose one of linear"):
            dilated_conv(SIGNAL, WEIGHT, activation=activation)  # type: ignore[arg-type]
    with refused("dilation=1180591620717411303424 with 1 taps"):
        dilated_conv(SIGNAL, WEIGHT[:, :, :1], dilation=2**70)


def test_plain_numbers_of_numpy_are_taken() -> None:
    y = upfirdn(X, F, up=np.int64(2), padding=[np.int32(1)] * 4, gain=np.float32(2))
    assert y.shape == (1, 2, 9, 9)
    assert bias_act(X, alpha=np.float64(0.1), clamp=1).shape == X.shape


@pytest.mark.parametrize("batch", [-1, 65_537, 10**30, 2.0, True])
def test_so_many_streams_are_refused(batch: object) -> None:
    with pytest.raises(InvalidInputError, match="batch="):
        stream_count(batch)
