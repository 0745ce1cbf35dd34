"""The packages that controllers need, imported on first use."""

from __future__ import annotations

import importlib
from typing import Any

from bunraku.errors import MissingDependencyError

CONTROL_EXTRA = "pip install 'bunraku[control]'"


def control_package(module: str, package: str, purpose: str) -> Any:
    """The imported module. Raises MissingDependencyError: `purpose` needs `package`, and the way
    to install it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"{purpose} needs the package '{package}' ({error}): {CONTROL_EXTRA}"
        ) from error
