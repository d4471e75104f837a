"""Data sets that are inside the package."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._native import mnist

Split = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def load_mnist() -> tuple[Split, Split]:
    """MNIST: ``(x_train, y_train), (x_test, y_test)``, 60 000 and 10 000 images of 28 × 28 levels."""
    images, labels, test_images, test_labels = (
        np.frombuffer(part, dtype=np.uint8) for part in mnist()
    )
    return (
        (images.reshape(-1, 28, 28), labels),
        (test_images.reshape(-1, 28, 28), test_labels),
    )
