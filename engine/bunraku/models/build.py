"""A network's spec to the PyTorch module that defines its sound."""

from __future__ import annotations

from bunraku.errors import UserInputError
from bunraku.formats.specs import (
    ConvNetSpec,
    LinearSpec,
    LstmSpec,
    ModelSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetSpec,
)
from bunraku.models.convnet import ConvNet
from bunraku.models.linear import Linear
from bunraku.models.lstm import Lstm
from bunraku.models.wavenet import WaveNet
from bunraku.streaming.module import StreamingModule


def build_network(spec: NetworkSpec, size: float = 1.0) -> StreamingModule:
    """The module of a checked spec; of a slimmable one, the network that plays at `size`."""
    match spec:
        case WaveNetSpec():
            condition = None if spec.condition is None else build_network(spec.condition)
            return WaveNet.from_spec(spec, condition)
        case LstmSpec():
            return Lstm.from_spec(spec)
        case ConvNetSpec():
            return ConvNet.from_spec(spec)
        case LinearSpec():
            return Linear.from_spec(spec)
        case SlimmableSpec():
            return build_network(spec.pick(size), size)


def build_model(spec: ModelSpec, size: float = 1.0) -> StreamingModule:
    """The module of a model whose chain is one network, as of every `.nam` file.

    Raises UserInputError for another chain: the native core plays those.
    """
    nodes = spec.chain.nodes
    if len(nodes) != 1 or not isinstance(nodes[0], NetworkSpec):
        raise UserInputError(
            f"the chain has {len(nodes)} effects: PyTorch references exist for one network alone; "
            "play chains with the native core"
        )
    return build_network(nodes[0], size)
