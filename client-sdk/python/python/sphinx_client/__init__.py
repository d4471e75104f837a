"""Train and use neural networks in a cloud that sees no image, label or prediction.

The secret key, the images and the privacy ledger stay in this process and in the home of the
client (``SPHINX_HOME``); what leaves is encrypted, masked or noised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._client import Client, Model
from ._cluster import LocalCluster, local_cluster
from ._data import load_mnist
from ._errors import InputError, PrivacyError, ServiceError, SphinxError, TrustError
from ._history import Estimate, History, Step
from ._native import __version__
from ._privacy import Accountant, DataSet, Epsilon, Plan, PrivacyLedger, plan
from ._recogniser import Prediction, Recogniser

if TYPE_CHECKING:
    from .classifier import SphinxClassifier

__all__ = [
    "Accountant",
    "Client",
    "DataSet",
    "Epsilon",
    "Estimate",
    "History",
    "InputError",
    "LocalCluster",
    "Model",
    "Plan",
    "Prediction",
    "PrivacyError",
    "PrivacyLedger",
    "Recogniser",
    "ServiceError",
    "SphinxClassifier",
    "SphinxError",
    "Step",
    "TrustError",
    "__version__",
    "load_mnist",
    "local_cluster",
    "plan",
]


def __getattr__(name: str) -> Any:
    # scikit-learn is wanted by the classifier alone, and takes a second to import.
    if name == "SphinxClassifier":
        try:
            from .classifier import SphinxClassifier
        except ImportError as error:
            raise ImportError(
                f"SphinxClassifier needs scikit-learn 1.6 or later ({error}): "
                "pip install 'sphinx-client[sklearn]', or use Client.train"
            ) from error
        return SphinxClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
