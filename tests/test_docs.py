"""What the documents say exists: files they link or name, commands and options they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
NAMED = re.compile(r"`((?:tests|benchmarks|docs|csrc|engine|examples|scripts|tools)/[\w./-]+)`")
LINKED = re.compile(r"\]\((?!https?:)([^)#]+)")
CODE = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_named_and_linked_files_exist(page: Path) -> None:
    text = page.read_text()
    targets = [ROOT / name for name in NAMED.findall(text)]
    targets += [page.parent / link for link in LINKED.findall(text)]
    assert not [str(target) for target in targets if not target.exists()]


def shown_commands() -> list[str]:
    """Every command line that begins with `bunraku` in a page's code blocks, comments cut off."""
    blocks = "\n".join(block for page in PAGES for block in CODE.findall(page.read_text()))
    lines = [line.split("#")[0].strip() for line in blocks.splitlines()]
    return sorted({line for line in lines if line.startswith("bunraku ")})


@pytest.mark.parametrize("line", shown_commands())
def test_shown_commands_and_options_exist(line: str) -> None:
    typer = pytest.importorskip("typer")
    from bunraku.cli.main import build_app

    command = typer.main.get_command(build_app())
    words = shlex.split(line.split("[")[0])[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {option for parameter in command.params for option in parameter.secondary_opts}
    assert not [word for word in words if word.startswith("-") and word not in known]
