"""What only a GPU can show: other streams than the default, CUDA graphs, two streams at once.

For every example of every operator on its GPU implementations; skipped where there is no GPU.
"""

from __future__ import annotations

import pytest
import torch
from cases import Case, cases, deviation
from torch import Tensor

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]

ON_GPU = [
    parameter
    for parameter in cases()
    if parameter.values[0].impl in ("cuda", "triton")  # type: ignore[attr-defined]
    and parameter.values[0].dtype == parameter.values[0].example.dtypes[0]  # type: ignore[attr-defined]
]
SPIN_CYCLES = 20_000_000  # about 10 ms: long enough that a launch on the wrong stream overtakes


def truths(case: Case) -> tuple[Tensor, ...]:
    return case.example.run(case.reference(grad=False), "reference")


def assert_right(case: Case, outputs: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for output, truth in zip(outputs, expected, strict=True):
        assert deviation(output, truth) <= case.tolerance


@pytest.mark.parametrize("case", ON_GPU)
def test_runs_on_the_callers_stream(case: Case) -> None:
    """The inputs appear late on a side stream: a launch elsewhere would read what is not there."""
    given = case.tensors(grad=False)
    late = {name: torch.zeros_like(tensor) for name, tensor in given.items()}
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(SPIN_CYCLES)
        for name, tensor in given.items():
            late[name].copy_(tensor)
        outputs = case.example.run(late, case.impl)
    stream.synchronize()
    assert_right(case, outputs, truths(case))


@pytest.mark.parametrize("case", ON_GPU)
def test_replays_in_a_cuda_graph(case: Case) -> None:
    """Captured on other values, replayed on the example's: nothing was decided by the values."""
    given = case.tensors(grad=False)
    if any(tensor.numel() == 0 for tensor in given.values()):
        pytest.skip("nothing to capture")
    static = {
        name: torch.zeros_like(t) if t.is_floating_point() else t.clone()
        for name, t in given.items()
    }
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compiles and caches before the capture
        case.example.run(static, case.impl)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = case.example.run(static, case.impl)
    for name, tensor in given.items():
        static[name].copy_(tensor)
    for _ in range(2):
        graph.replay()
    torch.cuda.synchronize()
    assert_right(case, outputs, truths(case))


@pytest.mark.parametrize("case", ON_GPU)
def test_two_streams_at_once_do_not_disturb_each_other(case: Case) -> None:
    expected = truths(case)
    streams = [torch.cuda.Stream() for _ in range(2)]
    inputs = [case.tensors(grad=False) for _ in streams]
    torch.cuda.synchronize()
    outputs: list[tuple[Tensor, ...]] = []
    for _ in range(8):
        for stream, tensors in zip(streams, inputs, strict=True):
            with torch.cuda.stream(stream):
                outputs.append(case.example.run(tensors, case.impl))
    torch.cuda.synchronize()
    for output in outputs:
        assert_right(case, output, expected)
