"""Recognition: images in, probabilities out; the service sees neither."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from types import TracebackType

import numpy as np
import numpy.typing as npt

from ._arrays import Shape, levels
from ._native import NativeRecogniser


@dataclass(frozen=True)
class Prediction:
    """What the network says of one image."""

    label: str
    probability: float
    probabilities: dict[str, float]

    def _repr_html_(self) -> str:
        bars = "".join(
            f"<tr><td>{escape(name)}</td><td>"
            f'<meter min="0" max="1" value="{share:.4f}" style="width:12em"></meter></td>'
            f"<td>{share:.1%}</td></tr>"
            for name, share in self.probabilities.items()
        )
        return f"<table>{bars}</table>"


class Recogniser:
    """Answers of one model, exact as in the clear. Tickets are kept in the home and used once."""

    def __init__(self, native: NativeRecogniser) -> None:
        self._native = native

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self._native.classes

    @property
    def shape(self) -> Shape:
        """Channels, rows and columns of the images."""
        return self._native.shape

    @property
    def version(self) -> int:
        """Version of the model that answers."""
        return self._native.version

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received so far."""
        return self._native.traffic

    def predict_proba(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Probabilities ``[image, class]``."""
        prepared, _ = levels(images, self.shape)
        answers = self._native.probabilities(prepared.tobytes())
        return np.frombuffer(answers, dtype="<f4").reshape(len(prepared), -1).astype(np.float32)

    def predict(self, images: npt.ArrayLike) -> list[str]:
        """Names of the classes."""
        names = self.classes
        return [names[number] for number in self.predict_proba(images).argmax(axis=1)]

    def picture(self, path: str | os.PathLike[str]) -> Prediction:
        """What a picture in a file is: any usual format and size."""
        answer = self._native.probabilities(self._native.picture(path))
        shares = np.frombuffer(answer, dtype="<f4").tolist()
        named = dict(zip(self.classes, shares, strict=True))
        label = max(named, key=lambda name: named[name])
        return Prediction(label, named[label], named)

    def close(self) -> None:
        """Gives unused tickets back to the store."""
        self._native.close()

    def __enter__(self) -> Recogniser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
