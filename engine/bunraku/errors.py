"""Every error a user can meet, in one tree. Each message names the value, the range and the remedy.

`assert` is for invariants of our own; whatever a user, a file or a device can cause is raised from
here. The command line prints the message on one line and exits with code 2.
"""

from __future__ import annotations


class BunrakuError(Exception):
    """The root: catch it to catch whatever bunraku raises on purpose."""


class UserInputError(BunrakuError, ValueError):
    """A value given by the caller is out of its range, or names nothing that exists."""


class ModelFormatError(BunrakuError, ValueError):
    """A model file is damaged, hostile, or of a version that this release does not read."""


class MediaError(BunrakuError, OSError):
    """A media file cannot be read or written."""


class DeviceError(BunrakuError, OSError):
    """An audio device is missing, was unplugged, or refuses the wanted settings."""


class MissingDependencyError(BunrakuError, ImportError):
    """An optional package is needed for this; the message says how to install it."""


class OverloadError(BunrakuError, RuntimeError):
    """The machine cannot keep what is asked beside what already runs; the message has the sums."""


class NativeCoreError(BunrakuError, RuntimeError):
    """The native core reported a failure that is none of the above."""
