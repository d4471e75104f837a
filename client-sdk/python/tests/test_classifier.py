"""scikit-learn's conventions, by its own checks and against real services."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import TINY, Digits
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from sphinx_client import InputError, LocalCluster, SphinxClassifier

#: Checks that cannot apply, each with the reason.
NOT_APPLICABLE = {
    "check_fit_idempotent": "batches and keys are drawn from the operating system's generator",
    "check_supervised_y_2d": "compares two trainings, which draw other batches",
    "check_classifier_data_not_an_array": "compares two trainings, which draw other batches",
    "check_pipeline_consistency": "compares two trainings, which draw other batches",
}


def test_conventions_hold_as_far_as_they_apply(environment: None) -> None:
    # Points of the checks are no images: their range has to be said, and they are told apart by a
    # line. Without noise, as the checks have some dozens of points.
    classifier = SphinxClassifier(
        network="linear", private=False, epochs=60, pixel_range=(-4, 4), clip=True
    )
    outcomes = check_estimator(
        classifier, expected_failed_checks=NOT_APPLICABLE, on_fail=None, on_skip=None
    )
    failed = [
        (outcome["check_name"], outcome["exception"])
        for outcome in outcomes
        if outcome["status"] == "failed"
    ]
    passed = sum(outcome["status"] == "passed" for outcome in outcomes)
    print(f"check_estimator: {passed} of {len(outcomes)} checks passed")
    assert failed == []
    assert passed >= 40


def test_strings_are_labels_and_names_of_classes(
    environment: None, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), (tests, truth) = digits
    names = np.array([f"digit {number}" for number in range(10)])
    classifier = SphinxClassifier(network=TINY, epsilon=8, epochs=3)
    classifier.fit(images[:20_000], names[labels[:20_000]])
    assert classifier.classes_.tolist() == sorted(names)
    assert classifier.recogniser_.classes == sorted(names)
    assert classifier.score(tests[:1000], names[truth[:1000]]) > 0.6
    assert set(classifier.predict(tests[:20])) <= set(names)
    assert classifier.ledger_.epsilon is not None and classifier.ledger_.epsilon <= 8


def test_parameters_are_kept_and_cloned(cluster: LocalCluster) -> None:
    classifier = SphinxClassifier(client=cluster.client(), epsilon=2.5, recipe="cnn-eps2")
    again = clone(classifier)
    assert again.get_params() == classifier.get_params()
    assert again.client is classifier.client
    assert again.set_params(epsilon=1.0).epsilon == 1.0


def test_refuses_one_class_and_a_range_that_is_none(environment: None) -> None:
    images = np.zeros((4, 4))
    with pytest.raises(InputError, match="one class"):
        SphinxClassifier().fit(images, [1, 1, 1, 1])
    with pytest.raises(InputError, match="black below white"):
        SphinxClassifier(pixel_range=(1, 1)).fit(images, [0, 1, 0, 1])
