"""A camera frame to a network's input, and its output back into the frame, in one pass each."""

from bunraku_kernels.frame.op import frame_to_tensor, tensor_to_frame

__all__ = ["frame_to_tensor", "tensor_to_frame"]
