"""Read by mypy alone: what a user writes has types."""

import numpy as np
import numpy.typing as npt

from sphinx_client import Client, History, Prediction, SphinxClassifier, local_cluster


def use(images: npt.NDArray[np.uint8], names: list[str]) -> float:
    with local_cluster() as cluster:
        client: Client = cluster.client()
        history: History = client.train("digits", images, names, epsilon=3.0, progress=True)
        losses: list[float] = [step.loss for step in history.steps]
        with client.recogniser("digits") as recogniser:
            shares: npt.NDArray[np.float32] = recogniser.predict_proba(images)
            answer: Prediction = recogniser.picture("seven.png")
        classifier = SphinxClassifier(client=client).fit(images, names)
        return losses[-1] + float(shares.max()) + answer.probability + len(classifier.classes_)
