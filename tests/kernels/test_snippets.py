"""Every piece of Python that the operators' page shows runs as it stands and makes what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
FENCED = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHAPE = re.compile(r"\[\d+(?:, \d+)*\]")
SNIPPETS = FENCED.findall(PAGE.read_text(encoding="utf-8"))
OPERATORS = (
    "bias_act", "upfirdn", "upfirdn_bias_act", "upsample_conv1d", "UpsampleConv1dStream",
    "upsample_conv2d", "dilated_conv", "wavenet_stream", "wavenet_sample", "frame_to_tensor",
    "tensor_to_frame",
)  # fmt: skip


def assigned_names(statement: ast.stmt) -> list[str]:
    if not isinstance(statement, ast.Assign):
        return []
    return [node.id for node in ast.walk(statement.targets[0]) if isinstance(node, ast.Name)]


def stated_shapes(lines: list[str], statement: ast.stmt) -> list[list[int]]:
    """Those in the comment behind a statement: `y = f(x)  # [2, 64], ...`, one for each name."""
    assert statement.end_lineno is not None
    _, _, comment = lines[statement.end_lineno - 1].partition("  # ")
    return [ast.literal_eval(shape) for shape in SHAPE.findall(comment)]


@pytest.mark.cpu_only
@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.splitlines()[-1][:40])
def test_a_snippet_runs_and_makes_the_shapes_it_states(snippet: str) -> None:
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    for statement in ast.parse(snippet).body:
        exec(compile(ast.Module([statement], []), str(PAGE), "exec"), names)
        stated = stated_shapes(snippet.splitlines(), statement)
        if stated:
            made = [list(names[name].shape) for name in assigned_names(statement)]
            assert made == stated, ast.unparse(statement)


@pytest.mark.cpu_only
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_is_shown(operator: str) -> None:
    assert any(re.search(rf"\b{operator}\(", snippet) for snippet in SNIPPETS)


@pytest.mark.cpu_only
@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.splitlines()[-1][:40])
def test_a_snippet_is_short_and_no_wider_than_our_code(snippet: str) -> None:
    lines = snippet.splitlines()
    assert 4 <= len([line for line in lines if line]) <= 12
    assert max(map(len, lines)) <= 100
