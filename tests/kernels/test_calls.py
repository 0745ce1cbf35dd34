"""What surrounds a call: autograd's version counters, autocast, forked children, threads."""

from __future__ import annotations

import os
import threading

import pytest
import torch
from bunraku_kernels.examples import examples
from bunraku_kernels.fork_safe_lock import ForkSafeLock
from bunraku_kernels.frame import frame_to_tensor
from bunraku_kernels.precision import without_autocast

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("impl", ["reference", "auto"])
def test_what_is_written_to_counts_as_changed(impl: str) -> None:
    frame = torch.zeros(4, 4, 3, dtype=torch.uint8)
    x, w = torch.randn(1, 3, 4, 4), torch.ones(1, requires_grad=True)
    y = (w * x).sum()  # whose gradient needs x as it is now
    frame_to_tensor(frame, (4, 4), mean=[0.5] * 3, std=[0.5] * 3, out=x, impl=impl)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("name", list(examples()))
def test_autocast_changes_nothing(name: str) -> None:
    for example in examples()[name]:
        tensors = {k: v.float() if v.is_floating_point() else v for k, v in example.tensors.items()}
        plain = example.run(tensors, "reference")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = example.run(tensors, "reference")
        for one, other in zip(plain, inside, strict=True):
            assert torch.equal(one, other), example.name


def test_without_autocast_passes_values_and_errors_through() -> None:
    @without_autocast
    def half(a: torch.Tensor) -> torch.Tensor:
        if a.ndim != 2:
            raise ValueError("two dimensions")
        return a @ a

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert half(torch.eye(3)).dtype == torch.float32
        with pytest.raises(ValueError, match="two dimensions"):
            half(torch.zeros(3))
        assert (torch.eye(3) @ torch.eye(3)).dtype == torch.bfloat16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_finds_the_lock_open() -> None:
    lock, held, leave = ForkSafeLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            leave.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        with lock:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    leave.set()
    holder.join()
    assert os.waitstatus_to_exitcode(status) == 7
