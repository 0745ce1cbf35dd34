"""The guided filter, split so that its coefficients can be found on a small picture.

He, Sun and Tang, "Guided Image Filtering" (2013), and He and Sun, "Fast Guided Filter" (2015).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bunraku.packages import opencv

Plane = npt.NDArray[np.float32]


def guided_coefficients(
    guide: Plane, target: Plane, radius: int, epsilon: float
) -> tuple[Plane, Plane]:
    """(a, b), each float32 [height, width], so that a * guide + b is `target` with the guide's
    edges. `radius` in pixels; `epsilon` is the guide's variance below which an area is flat."""
    cv2 = opencv()
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: Plane) -> Plane:
        blurred: Plane = cv2.boxFilter(plane, -1, window, borderType=cv2.BORDER_REFLECT)
        return blurred

    mean_guide, mean_target = mean(guide), mean(target)
    variance = mean(guide * guide) - mean_guide * mean_guide
    covariance = mean(guide * target) - mean_guide * mean_target
    variance = np.maximum(variance, np.float32(0), dtype=np.float32)
    a = np.divide(covariance, variance + np.float32(epsilon), dtype=np.float32)
    return mean(a), mean(np.subtract(mean_target, a * mean_guide, dtype=np.float32))
