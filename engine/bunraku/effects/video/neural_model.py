"""What a network wants and gives, checked: ranges, sizes, how much larger its output is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bunraku.errors import ModelFormatError, UserInputError
from bunraku.formats.onnx_facts import OnnxFacts, TensorFacts, read_onnx

Size = tuple[int, int]
"""(height, width)."""

SIDE_MIN = 16
SIDE_MAX = 2048
ENLARGE_MAX = 4
UNKNOWN_MULTIPLE = 32
"""For a network that does not say what its sides must be multiples of: fits five halvings."""
MULTIPLE_MAX = 256
RANGES = {"-1..1": (127.5, 127.5), "0..1": (255.0, 0.0), "0..255": (1.0, 0.0)}
"""(scale, offset): byte = value * scale + offset."""


@dataclass(frozen=True)
class ModelFacts:
    """fixed: the only input size, None where any multiple will do. data: an ONNX file's bytes."""

    path: Path
    values: str
    element_type: str = "float32"
    fixed: Size | None = None
    multiple: int = UNKNOWN_MULTIPLE
    data: bytes = b""

    @property
    def scale(self) -> float:
        return RANGES[self.values][0]

    @property
    def offset(self) -> float:
        return RANGES[self.values][1]

    def size_for(self, side_px: int, frame: Size) -> Size:
        """The input size of about `side_px` squared pixels with the frame's proportions, never
        larger than the frame; the fixed one where there is one."""
        if self.fixed is not None:
            return self.fixed
        height, width = frame
        shrink = min(1.0, side_px / (height * width) ** 0.5)
        return self.rounded(height * shrink), self.rounded(width * shrink)

    def rounded(self, side: float) -> int:
        least = -(-SIDE_MIN // self.multiple) * self.multiple
        most = SIDE_MAX // self.multiple * self.multiple
        return min(most, max(least, round(side / self.multiple) * self.multiple))


def onnx_facts(path: Path, values: str) -> ModelFacts:
    """values: a key of RANGES, or "auto": what the file's metadata says, else 0..1 for floats.

    Raises ModelFormatError for a file that is hostile, damaged, or no image-to-image network.
    """
    data, facts = read_onnx(path)
    try:
        given, made = the_pair(facts)
        element = given.element_type
        check_element(given, made)
        if values == "auto":
            values = facts.metadata.get("values", "0..255" if element == "uint8" else "0..1")
        if values not in RANGES:
            raise ModelFormatError(f"values are '{values:.20}': one of {', '.join(RANGES)} is read")
        if element == "uint8" and values != "0..255":
            raise ModelFormatError(f"values are {values}, but its input is uint8: 0..255")
        fixed = fixed_size(given)
        if fixed is not None:
            check_declared(made, fixed)
        multiple = declared_multiple(facts)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path.name}: {error}") from None
    return ModelFacts(path, values, element, fixed, multiple, data)


def the_pair(facts: OnnxFacts) -> tuple[TensorFacts, TensorFacts]:
    if len(facts.inputs) != 1 or len(facts.outputs) != 1:
        raise ModelFormatError(
            f"it has {len(facts.inputs)} inputs and {len(facts.outputs)} outputs: "
            "an image-to-image network has one of each"
        )
    for tensor in (facts.inputs[0], facts.outputs[0]):
        shape = tensor.shape
        if len(shape) != 4 or shape[0] not in (None, 1) or shape[1] not in (None, 3):
            raise ModelFormatError(
                f"'{tensor.name:.40}' has the shape {list(shape)}: [1, 3, height, width] is read"
            )
    return facts.inputs[0], facts.outputs[0]


def check_element(given: TensorFacts, made: TensorFacts) -> None:
    if given.element_type not in ("float32", "uint8") or made.element_type != given.element_type:
        raise ModelFormatError(
            f"it takes {given.element_type} and gives {made.element_type}: "
            "float32 or uint8 for both is read"
        )


def fixed_size(given: TensorFacts) -> Size | None:
    """Raises ModelFormatError out of bounds, or where one side is fixed and one free."""
    height, width = given.shape[2:]
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise ModelFormatError("one side of its input is fixed and one free: fix both or none")
    if not (SIDE_MIN <= height <= SIDE_MAX and SIDE_MIN <= width <= SIDE_MAX):
        raise ModelFormatError(
            f"its input is {width}x{height}: {SIDE_MIN} to {SIDE_MAX} pixels a side are read"
        )
    return height, width


def check_declared(made: TensorFacts, fixed: Size) -> None:
    for given_side, made_side in zip(fixed, made.shape[2:], strict=True):
        if made_side is not None and not is_whole_multiple(made_side, given_side):
            raise ModelFormatError(
                f"its output is {made.shape[3]}x{made.shape[2]} for {fixed[1]}x{fixed[0]}: "
                f"the same size or a whole multiple up to {ENLARGE_MAX} is read"
            )


def declared_multiple(facts: OnnxFacts) -> int:
    said = facts.metadata.get("multiple", str(UNKNOWN_MULTIPLE))
    if not said.isascii() or not said.isdigit() or not 1 <= int(said[:6]) <= MULTIPLE_MAX:
        raise ModelFormatError(f"multiple is '{said:.20}': 1 to {MULTIPLE_MAX} is read")
    return int(said)


def is_whole_multiple(made_side: int, given_side: int) -> bool:
    times, rest = divmod(made_side, given_side)
    return rest == 0 and 1 <= times <= ENLARGE_MAX


def check_output(facts: ModelFacts, size: Size, shape: tuple[int, ...]) -> None:
    """What came out for an input of `size`. Raises ModelFormatError."""
    expected = (
        len(shape) == 4
        and shape[:2] == (1, 3)
        and is_whole_multiple(shape[2], size[0])
        and shape[2] * size[1] == shape[3] * size[0]
    )
    if not expected:
        raise ModelFormatError(
            f"{facts.path.name} made {list(shape)} of [1, 3, {size[0]}, {size[1]}]: the same size "
            f"or a whole multiple up to {ENLARGE_MAX} is read"
        )


def model_file(name: str, suffix_if_bundled: str) -> Path:
    """The file of a bundled look by its name, or of a path. Raises UserInputError for neither."""
    from bunraku.weights import looks

    path = Path(name)
    if path.suffix not in looks.SUFFIXES:
        return looks.find(name, suffix_if_bundled)
    if not path.is_file():
        raise UserInputError(f"{name:.200} is no file: give a path to a {path.suffix} file")
    return path


def suffixes_of(name: str) -> tuple[str, ...]:
    """The kinds of file that a model exists in: a bundled look in both."""
    from bunraku.weights import looks

    suffix = Path(name).suffix
    return (suffix,) if suffix in looks.SUFFIXES else looks.SUFFIXES
