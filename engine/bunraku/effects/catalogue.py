"""What effects there are: those whose files lie in a package, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, TypeVar

from bunraku.errors import UserInputError

Effect = TypeVar("Effect")


def kinds_in(package_name: str, base: type[Effect]) -> dict[str, type[Effect]]:
    """Every named subclass of `base`, once all files of the package have been imported."""
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package_name}.{module.name}")
    named: dict[str, type[Effect]] = {name_of(kind): kind for kind in below(base) if name_of(kind)}
    return dict(sorted(named.items()))


def kind_named(kinds: Mapping[str, type[Effect]], name: str) -> type[Effect]:
    """Raises UserInputError that lists the names at hand."""
    if name not in kinds:
        raise UserInputError(f"no effect is named '{name}'; at hand: {', '.join(kinds)}")
    return kinds[name]


def name_of(kind: Any) -> str:
    return str(kind.name)


def below(base: type[Effect]) -> set[type[Effect]]:
    """Subclasses, however deep."""
    direct = set(base.__subclasses__())
    return direct.union(*(below(kind) for kind in direct))
