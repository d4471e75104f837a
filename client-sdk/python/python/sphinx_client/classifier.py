"""A classifier with scikit-learn's conventions."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._arrays import Shape, levels
from ._client import Client
from ._errors import InputError
from ._history import History
from ._privacy import PrivacyLedger
from ._progress import Told
from ._recogniser import Recogniser

Images = npt.NDArray[Any]


class SphinxClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A neural network trained and used in a cloud that sees no image, label or prediction.

    Parameters are those of :meth:`Client.train`; besides them

    - ``client``: absent for the one that the environment describes,
    - ``model``: name of the model, which is made, or trained further if it is there; absent for a
      new one with every ``fit``,
    - ``pixel_range``: numbers that are black and white; nothing is learned from private images, so
      it has to be said. Bytes are levels from 0 to 255 without being told,
    - ``clip``: takes numbers beyond for black and white, instead of refusing them.

    Images are ``(n, pixels)``, ``(n, rows, columns)`` or with 1 or 3 channels first or last. They
    are cut to 256 levels. Labels are numbers or strings.
    """

    def __init__(
        self,
        *,
        client: Client | None = None,
        model: str | None = None,
        network: str = "auto",
        recipe: str | None = None,
        epsilon: float | None = None,
        delta: float | None = None,
        private: bool = True,
        epochs: float | None = None,
        image_shape: Shape | None = None,
        pixel_range: tuple[float, float] = (0.0, 1.0),
        clip: bool = False,
        seed: int | None = None,
        data_name: str | None = None,
        progress: bool | Told = False,
    ) -> None:
        self.client = client
        self.model = model
        self.network = network
        self.recipe = recipe
        self.epsilon = epsilon
        self.delta = delta
        self.private = private
        self.epochs = epochs
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.clip = clip
        self.seed = seed
        self.data_name = data_name
        self.progress = progress

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> SphinxClassifier:
        """Trains the network. Ctrl-C ends it after the step at hand and leaves it usable."""
        checked, y = validate_data(self, X, y, dtype="numeric", allow_nd=True)
        check_classification_targets(y)
        classes = np.unique(y)
        if len(classes) < 2:
            raise InputError(f"all labels are of one class, {classes[0]!r}: at least two are needed")
        images, shape = levels(self._pixels(checked), self.image_shape)
        client = Client() if self.client is None else self.client
        model = self.model or f"sklearn-{secrets.token_hex(6)}"
        self.classes_ = classes
        self.shape_ = shape
        self.model_id_ = model
        self.history_ = History()
        self._client = client
        self._recogniser: Recogniser | None = None
        client.train(
            model,
            images,
            y,
            network=self.network,
            recipe=self.recipe,
            epsilon=self.epsilon,
            delta=self.delta,
            private=self.private,
            epochs=self.epochs,
            classes=classes.tolist(),
            shape=shape,
            seed=self.seed,
            data_name=self.data_name,
            progress=self.progress,
            history=self.history_,
        )
        self._recogniser = client.recogniser(model)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Probabilities ``[image, class]``, in the order of ``classes_``."""
        check_is_fitted(self, "model_id_")
        checked = validate_data(self, X, dtype="numeric", allow_nd=True, reset=False)
        images, _ = levels(self._pixels(checked), self.shape_)
        answers = self.recogniser_.predict_proba(images).astype(np.float64)
        shares: npt.NDArray[np.float64] = answers / answers.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Classes, as the labels of ``fit`` have them."""
        best = self.predict_proba(X).argmax(axis=1)
        found: npt.NDArray[Any] = self.classes_[best]
        return found

    @property
    def recogniser_(self) -> Recogniser:
        """Recognition with the trained model."""
        check_is_fitted(self, "model_id_")
        if self._recogniser is None:
            self._recogniser = self._client.recogniser(self.model_id_)
        return self._recogniser

    @property
    def ledger_(self) -> PrivacyLedger:
        """What the trained model has spent."""
        check_is_fitted(self, "model_id_")
        return self._client.ledger(self.model_id_)

    def _pixels(self, X: Images) -> Images:
        low, high = self.pixel_range
        if X.dtype == np.uint8 or X.dtype == np.bool_ or X.dtype.kind not in "iuf":
            return X
        if (low, high) == (0.0, 1.0) and not self.clip:
            return X
        if not high > low:
            raise InputError(f"pixel_range is {low:g} to {high:g}: expected black below white")
        scaled = (X.astype(np.float64) - low) / (high - low)
        return np.clip(scaled, 0.0, 1.0) if self.clip else scaled

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {**state, "_recogniser": None} if "_recogniser" in state else state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Batches and noise are drawn from the operating system's generator: no seed may undo them.
        tags.non_deterministic = True
        tags.classifier_tags.poor_score = self.private
        tags.input_tags.three_d_array = True
        return tags
