"""NumPy arrays in the form that the SDK takes: levels from 0 to 255, labels as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._errors import InputError

Shape = tuple[int, int, int]
Levels = npt.NDArray[np.uint8]

#: Classes that a label of one byte can name.
MOST_CLASSES = 256


def levels(images: npt.ArrayLike, shape: Shape | None = None) -> tuple[Levels, Shape]:
    """Images as ``[image][channel][row][column]`` of levels, and their shape.

    ``images`` has one of the forms ``(n, pixels)``, ``(n, rows, columns)``, ``(n, rows, columns,
    channels)`` or ``(n, channels, rows, columns)`` with 1 or 3 channels, in any memory order. Bytes
    are levels as they are; numbers and booleans are pixels from 0 (black) to 1 (white).
    """
    array = np.asarray(images)
    if array.ndim not in (2, 3, 4):
        raise InputError(
            f"images have {array.ndim} dimensions {array.shape}, expected 2 (image, pixel), "
            "3 (image, row, column) or 4 with 1 or 3 channels; reshape one image with x[None]"
        )
    array, sides = _sides(array, shape)
    return np.ascontiguousarray(_levels(array).reshape(len(array), -1)), sides


def _sides(array: npt.NDArray[Any], shape: Shape | None) -> tuple[npt.NDArray[Any], Shape]:
    if array.ndim == 4:
        channels_last = array.shape[3] in (1, 3)
        if not channels_last and array.shape[1] not in (1, 3):
            raise InputError(
                f"images of {array.shape[1:]} have neither 1 nor 3 channels, first or last"
            )
        # Where both could be meant, a known shape decides.
        if shape is not None and array.shape[1:] == shape:
            channels_last = False
        if channels_last:
            array = np.moveaxis(array, 3, 1)
        found: Shape = (array.shape[1], array.shape[2], array.shape[3])
    elif array.ndim == 3:
        found = (1, array.shape[1], array.shape[2])
    elif shape is not None:
        found = shape
        if array.shape[1] != shape[0] * shape[1] * shape[2]:
            raise InputError(f"X has {array.shape[1]} features, but images of {shape} are expected")
    else:
        # A square of grey pixels, as flattened images are; else a line.
        side = round(array.shape[1] ** 0.5)
        found = (1, side, side) if side * side == array.shape[1] else (1, 1, array.shape[1])
    if shape is not None and found != shape:
        raise InputError(f"images are {found} (channels, rows, columns), expected {shape}")
    return array, found


def _levels(array: npt.NDArray[Any]) -> Levels:
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype.kind in "iu":
        if array.size and (array.min() < 0 or array.max() > 255):
            raise InputError(
                f"whole numbers are levels from 0 to 255, found {array.min()} to {array.max()}"
            )
        return array.astype(np.uint8)
    if array.dtype.kind != "f":
        raise InputError(
            f"images of dtype {array.dtype}: expected uint8 levels from 0 to 255, or floats from "
            "0 to 1"
        )
    if not np.isfinite(array).all():
        raise InputError("images contain NaN or infinity: every pixel needs a number from 0 to 1")
    if array.size and (array.min() < 0 or array.max() > 1):
        raise InputError(
            f"floats are pixels from 0 to 1, found {array.min():g} to {array.max():g}: divide "
            "levels by 255, or give them as uint8"
        )
    rounded: Levels = np.rint(array * 255).astype(np.uint8)
    return rounded


def labels(
    given: npt.ArrayLike, count: int, classes: Sequence[Any] | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """Labels as numbers of classes, and the classes in their order.

    Labels may be numbers or strings; ``classes`` fixes the order, otherwise they are sorted.
    """
    array = np.asarray(given)
    if array.ndim != 1:
        raise InputError(f"labels have the shape {array.shape}, expected one label per image")
    if len(array) != count:
        raise InputError(f"{count} images and {len(array)} labels: expected one label per image")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("labels contain NaN or infinity")
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        raise InputError("labels are fractions: this classifies, it does not regress")
    known = np.unique(array) if classes is None else np.asarray(classes)
    if len(known) > MOST_CLASSES:
        raise InputError(f"{len(known)} classes: at most {MOST_CLASSES} can be told apart")
    order = {value: number for number, value in enumerate(known.tolist())}
    try:
        numbers = [order[value] for value in array.tolist()]
    except KeyError as error:
        raise InputError(f"label {error.args[0]!r} is none of the classes {known.tolist()}") from None
    return np.asarray(numbers, dtype=np.uint8), known


def class_names(classes: npt.NDArray[Any]) -> list[str]:
    """What the classes are called in the model."""
    return [str(name) for name in classes.tolist()]
