"""What a visitor may read of a text that was written for who runs the server."""

from __future__ import annotations

import re

MOST_TEXT = 600
MOST_READ = 10_000
# An absolute path's folders: its root, then names as far as a separator follows them. A name may
# have spaces, but neither ends with one nor with what ends a name in a sentence.
FOLDERS = re.compile(
    r"""
    (?: file:/{1,3} | (?<![A-Za-z])[A-Za-z]:[\\/] | (?<![\w.~\\:/-])[\\/]{2}
      | (?<![\w.~/])(?:~|\.{1,2})?/ )
    (?=[^\s/\\])
    (?: (?: (?![:;,][ ]) [^\\/] )* (?<![\s'"(\[=:;,]) (?<!\s[~.]) (?<!\s\.\.) [\\/]+ )*
    """,
    re.VERBOSE,
)


def for_visitor(text: str, most: int = MOST_TEXT) -> str:
    """`text` on one line of at most `most` characters, with files by their names alone: which
    folders the server has is nobody's business."""
    line = "".join(one if one.isprintable() else " " for one in text[:MOST_READ])
    shown = FOLDERS.sub("", line)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
