"""Arrays of every form, and those that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from sphinx_client import InputError
from sphinx_client._arrays import class_names, labels, levels

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("step", [1, -1])
def test_memory_order_and_strides_change_nothing(order: str, step: int) -> None:
    laid_out = np.asarray(IMAGES[:, ::step], order=order)
    got, shape = levels(laid_out)
    assert shape == (1, 3, 4)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got.reshape(2, 3, 4), IMAGES[:, ::step])


def test_floats_booleans_and_whole_numbers_become_levels() -> None:
    floats = IMAGES / 255.0
    for given in [floats, floats.astype(np.float32), IMAGES.astype(np.int64), IMAGES.tolist()]:
        np.testing.assert_array_equal(levels(given)[0].reshape(2, 3, 4), IMAGES)
    np.testing.assert_array_equal(levels(np.array([[True, False]]))[0], [[255, 0]])


def test_channels_may_be_first_or_last() -> None:
    last = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    first = np.moveaxis(last, 3, 1)
    for given in [last, first]:
        got, shape = levels(given)
        assert shape == (3, 4, 5)
        np.testing.assert_array_equal(got.reshape(2, 3, 4, 5), first)


def test_flat_images_are_squares_or_lines_unless_said_otherwise() -> None:
    assert levels(np.zeros((1, 784)))[1] == (1, 28, 28)
    assert levels(np.zeros((1, 12)))[1] == (1, 1, 12)
    assert levels(np.zeros((1, 12)), (3, 2, 2))[1] == (3, 2, 2)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.full((1, 4), np.nan), "NaN or infinity"),
        (np.full((1, 4), np.inf), "NaN or infinity"),
        (np.full((1, 4), 1.5), "floats are pixels from 0 to 1, found 1.5 to 1.5"),
        (np.full((1, 4), -0.1), "found -0.1"),
        (np.full((1, 4), 256), "levels from 0 to 255, found 256 to 256"),
        (np.full((1, 4), -1), "levels from 0 to 255, found -1"),
        (np.array([["a", "b"]]), "images of dtype <U1"),
        (np.zeros((1, 4), dtype=complex), "images of dtype complex128"),
        (np.zeros(4), "images have 1 dimensions"),
        (np.zeros((1, 1, 1, 1, 1)), "images have 5 dimensions"),
        (np.zeros((2, 5, 5, 4)), "neither 1 nor 3 channels"),
    ],
)
def test_refuses_what_are_no_images(images: np.ndarray, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as refused:
        levels(images)
    assert isinstance(refused.value, ValueError)


def test_refuses_images_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"images are \(1, 3, 4\).*expected \(1, 4, 4\)"):
        levels(IMAGES, (1, 4, 4))
    with pytest.raises(InputError, match="X has 5 features"):
        levels(np.zeros((1, 5)), (1, 2, 2))


def test_string_labels_become_the_names_of_classes() -> None:
    numbers, classes = labels(["dog", "cat", "dog"], 3)
    assert numbers.tolist() == [1, 0, 1]
    assert class_names(classes) == ["cat", "dog"]
    numbers, _ = labels(["dog", "cat"], 2, classes=["dog", "cat", "ship"])
    assert numbers.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("given", "count", "expected"),
    [
        ([0, 1], 3, "3 images and 2 labels"),
        ([[0], [1]], 2, r"shape \(2, 1\)"),
        ([0.0, np.nan], 2, "NaN"),
        ([0.5, 1.5], 2, "fractions"),
        (list(range(257)), 257, "257 classes"),
    ],
)
def test_refuses_what_are_no_labels(given: list[float], count: int, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        labels(given, count)
    with pytest.raises(InputError, match="label 'bird' is none of the classes"):
        labels(["bird"], 1, classes=["cat"])
