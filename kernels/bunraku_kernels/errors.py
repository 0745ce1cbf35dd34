"""What a caller of the operators can meet, in one tree. Each message names the value, the range and
the remedy; `assert` is for our own invariants."""

from __future__ import annotations


class KernelError(Exception):
    """The root: catch it to catch whatever bunraku_kernels raises on purpose."""


class InvalidInputError(KernelError, ValueError):
    """A tensor or setting has a shape, type or value that the operator does not take."""


class ImplementationUnavailableError(KernelError, RuntimeError):
    """The implementation asked for by name does not exist or does not work here."""
