"""Many voices of one WaveNet, stepped block by block with their histories updated in place."""

from bunraku_kernels.wavenet_stream.nam import plan_from_nam_config
from bunraku_kernels.wavenet_stream.op import open_streams, wavenet_stream
from bunraku_kernels.wavenet_stream.plan import ArrayPlan, LayerPlan, WaveNetPlan
from bunraku_kernels.wavenet_stream.streams import WaveNetStreams
from bunraku_kernels.wavenet_stream.weights import FeedforwardWaveNetWeights, pack_weights

__all__ = [
    "ArrayPlan",
    "FeedforwardWaveNetWeights",
    "LayerPlan",
    "WaveNetPlan",
    "WaveNetStreams",
    "open_streams",
    "pack_weights",
    "plan_from_nam_config",
    "wavenet_stream",
]
