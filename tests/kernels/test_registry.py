"""Asking for an implementation gets it or an error; `auto` measures and says so."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bunraku_kernels
import pytest
import torch
from bunraku_kernels import ImplementationUnavailableError, InvalidInputError, choice
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.choice import Choices, kind_of
from bunraku_kernels.registry import operators

PACKAGE = Path(bunraku_kernels.__file__).parent

pytestmark = pytest.mark.cpu_only


def in_new_process(code: str, **environment: str) -> str:
    """What `code` prints in an interpreter that sees the package and no test settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BUNRAKU_", "TRITON_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**kept, "PYTHONPATH": str(PACKAGE.parent), **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_every_operator_lists_what_is_here_and_why_the_rest_is_not() -> None:
    for name, status in bunraku_kernels.available().items():
        assert "reference" in status.here
        assert set(status.here) | set(status.absent) == set(operators()[name].implementations)
        assert all(reason for reason in status.absent.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_the_reason_is_said() -> None:
    code = "import bunraku_kernels as k; print(k.available()['bias_act'].absent)"
    absent = ast.literal_eval(in_new_process(code))
    assert "no device" in absent["triton"]
    assert "no device" in absent["cuda"] or "not built" in absent["cuda"]
    assert "BUNRAKU_CUDA=0" in ast.literal_eval(in_new_process(code, BUNRAKU_CUDA="0"))["cuda"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_name_gets_that_implementation_or_an_error() -> None:
    code = (
        "import torch, bunraku_kernels as k\n"
        "from bunraku_kernels.bias_act import bias_act\n"
        "try: bias_act(torch.zeros(2, 2), impl='triton')\n"
        "except k.ImplementationUnavailableError as e: print(e)"
    )
    assert "at hand: reference" in in_new_process(code)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"impl='cudnn'.*reference"):
        bias_act(torch.zeros(2, 2), impl="cudnn")
    with pytest.raises(AttributeError, match="bunraku_kernels has no 'nothing'"):
        _ = bunraku_kernels.nothing


def test_types_that_kernels_do_not_take_are_refused_by_name_and_passed_by_auto() -> None:
    x = torch.randn(2, 3, dtype=torch.float64)
    assert bias_act(x).dtype == torch.float64
    if "triton" in bunraku_kernels.available()["bias_act"].here:
        with pytest.raises(InvalidInputError, match=r"float64|takes cuda"):
            bias_act(x, impl="triton")


def test_auto_takes_the_fastest_and_says_once_which(caplog: pytest.LogCaptureFixture) -> None:
    calls = {"slow": 0, "fast": 0}

    def slow(x: torch.Tensor) -> torch.Tensor:
        calls["slow"] += 1
        for _ in range(200):
            x = torch.sin(x)
        return x

    def fast(x: torch.Tensor) -> torch.Tensor:
        calls["fast"] += 1
        return x

    choices, x = Choices("probe", in_place=False), torch.zeros(3000)
    with caplog.at_level(logging.INFO, "bunraku_kernels"):
        for size in (3000, 2999, 2500):  # one kind: each rounds up to 4096
            assert choices.fastest("run", {"slow": slow, "fast": fast}, (x[:size],)) is fast
    assert len(caplog.records) == 1
    assert "probe.run on cpu float32 [3000]: auto is fast" in caplog.text
    measured = calls["fast"]
    choices.fastest("run", {"slow": slow, "fast": fast}, (x,))
    assert calls["fast"] == measured, "measured twice"


def test_auto_leaves_out_what_fails_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no code for this GPU")

    def works(x: torch.Tensor) -> torch.Tensor:
        return x

    arguments = (torch.zeros(4),)
    assert (
        Choices("probe", in_place=False).fastest("run", {"a": broken, "b": works}, arguments)
        is works
    )
    assert "auto leaves out a: no code for this GPU" in caplog.text
    with pytest.raises(RuntimeError, match="no code"):
        Choices("probe", in_place=False).fastest("run", {"a": broken, "b": broken}, arguments)


def test_a_module_that_cannot_be_loaded_is_absent(tmp_path: Path) -> None:
    (tmp_path / "_native.so").write_bytes(b"not a library")
    code = (
        "import bunraku_kernels as k\n"
        f"k.__path__.insert(0, {str(tmp_path)!r})\n"
        "print(k.available()['frame'].absent['native'])"
    )
    assert "cannot be loaded" in in_new_process(code)


def test_only_so_many_kinds_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose sizes never end must not grow."""
    monkeypatch.setattr(choice, "MOST_KINDS", 3)
    choices, measured = Choices("probe", in_place=False), []

    def counted(x: torch.Tensor) -> None:
        measured.append(len(x))

    functions = {"a": counted, "b": counted}
    for size in (1, 2, 4, 8, 16):
        choices.fastest("run", functions, (torch.zeros(size),))
    assert len(choices._fastest) == 3
    measured.clear()
    for size in (4, 8, 16):
        choices.fastest("run", functions, (torch.zeros(size),))
    assert not measured
    choices.fastest("run", functions, (torch.zeros(1),))
    assert measured


def test_measuring_leaves_arguments_written_in_place_alone() -> None:
    def add_one(x: torch.Tensor) -> torch.Tensor:
        return x.add_(1)

    x = torch.zeros(4)
    Choices("probe", in_place=True).fastest("run", {"a": add_one, "b": add_one}, (x,))
    assert torch.equal(x, torch.zeros(4))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (torch.zeros(5, 100), torch.zeros(8, 128), True),
        (torch.zeros(5, 100), torch.zeros(5, 129), False),
        (torch.zeros(4), torch.zeros(4, dtype=torch.float16), False),
        ("relu", "tanh", False),
        (0.5, 0.7, True),
    ],
)
def test_kinds_of_arguments(one: Any, other: Any, same: bool) -> None:
    assert (kind_of((one,)) == kind_of((other,))) is same


def test_package_imports_torch_triton_numpy_and_itself_only() -> None:
    allowed = {"torch", "triton", "numpy", "bunraku_kernels"} | set(sys.stdlib_module_names)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


def test_importing_the_package_loads_neither_torch_nor_triton() -> None:
    code = "import sys, bunraku_kernels; print({'torch', 'triton', 'numpy'} & set(sys.modules))"
    assert in_new_process(code) == "set()"


def test_errors_of_the_package() -> None:
    assert issubclass(ImplementationUnavailableError, bunraku_kernels.KernelError)
    assert issubclass(InvalidInputError, ValueError)
