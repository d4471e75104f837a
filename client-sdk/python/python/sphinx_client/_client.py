"""A home, and the services that it is used with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ._arrays import Shape, class_names, labels, levels
from ._history import History
from ._errors import InputError
from ._native import NativeClient, train
from ._privacy import DataSet, PrivacyLedger
from ._progress import Progress, Told
from ._recogniser import Recogniser


@dataclass(frozen=True)
class Model:
    """A model as the trainer lists it."""

    id: str
    key: str
    version: int
    network: str
    shape: Shape


class Client:
    """Keys, models and ledgers of one home.

    Addresses, tenant and credentials are those of the environment where none is given, as the
    command reads them (``SPHINX_TRAINER``, ``SPHINX_TOKEN`` and so on); the home is
    ``SPHINX_HOME`` or ``~/.local/share/sphinx``.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        trainer: str | None = None,
        inference: str | None = None,
        keyvault: str | None = None,
        tenant: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        certificate: tuple[str, str] | None = None,
        token: str | None = None,
        insecure_cleartext: bool = False,
    ) -> None:
        self.home = Path(home) if home is not None else _home()
        self._settings = {
            "trainer": trainer,
            "inference": inference,
            "keyvault": keyvault,
            "tenant": tenant,
            "ca": ca,
            "certificate": certificate,
            "insecure_cleartext": insecure_cleartext,
        }
        self._native = NativeClient(
            self.home,
            trainer,
            inference,
            keyvault,
            tenant,
            ca,
            certificate,
            token,
            insecure_cleartext,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the token, which is a secret: what is unpickled has the environment's.
        return _reopened, (self.home, self._settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> Client:
        # Estimators are cloned with their parameters; a home has one client.
        return self

    def keys(self) -> dict[str, str]:
        """Keys whose secret half is here, each with its fingerprint."""
        return dict(self._native.keys())

    def ensure_key(self) -> str:
        """The only key, registered; made where there is none."""
        return self._native.any_key()

    def models(self) -> list[Model]:
        """Models of the tenant."""
        return [
            Model(**{**found, "shape": tuple(found["shape"])})
            for found in json.loads(self._native.models())
        ]

    def delete(self, model: str) -> None:
        """Deletes a model; what it spent stays recorded."""
        self._native.delete_model(model)

    def ledger(self, model: str) -> PrivacyLedger:
        """What a model has spent."""
        return PrivacyLedger._read(self._native.ledger(model))

    def data_sets(self, delta: float = 1e-5) -> list[DataSet]:
        """What all models of this home together have spent of every data set."""
        return [DataSet(**found) for found in json.loads(self._native.data_sets(delta))]

    def cap(self, data_name: str, epsilon: float | None, delta: float = 1e-5) -> None:
        """Sets the ε that all trainings on a data set together keep, or takes it away."""
        self._native.cap_data(data_name, epsilon, delta)

    def recogniser(self, model: str) -> Recogniser:
        """Recognition with the newest version of a model."""
        return Recogniser(self._native.recogniser(model))

    def train(
        self,
        model: str,
        images: npt.ArrayLike,
        targets: npt.ArrayLike,
        *,
        network: str = "auto",
        recipe: str | None = None,
        epsilon: float | None = None,
        private: bool = True,
        delta: float | None = None,
        epochs: float | None = None,
        classes: Sequence[Any] | None = None,
        shape: Shape | None = None,
        seed: int | None = None,
        data_name: str | None = None,
        shards: int = 1,
        progress: bool | Told = False,
        history: History | None = None,
    ) -> History:
        """Trains a model, a new one or further, and returns what it came to.

        ``network`` is ``auto``, the name of a built-in one, ``linear``, a TOML file or its text;
        ``recipe`` a name or file that decides on network and options. Ctrl-C ends the training
        after the step at hand: what is committed stays, and the same call goes on from there.
        ``private=False`` trains on exact gradients, from which the services can reconstruct images.
        ``shards`` connections share the blocks of every step, to the trainer and the further ones
        (``SPHINX_FURTHER_TRAINERS``) in turn.
        """
        if shards < 1:
            raise InputError(f"{shards} shards: 1 or more are wanted")
        if recipe is not None and network != "auto":
            raise InputError("a recipe has its network: give one of recipe and network")
        prepared, sides = levels(images, shape)
        numbers, known = labels(targets, len(prepared), classes)
        history = History() if history is None else history
        named = f"recipe:{recipe}" if recipe is not None else _network(network, sides, len(known))
        with Progress(progress) as shown:

            def told(news: Any) -> None:
                step = history._told(news)
                if step is not None:
                    shown.step(step)

            summary = train(
                self._native,
                model,
                prepared.tobytes(),
                numbers.tobytes(),
                sides,
                class_names(known),
                network=named,
                private=private,
                epsilon=epsilon if private else None,
                delta=delta,
                epochs=epochs,
                seed=seed,
                data_name=data_name,
                shards=shards,
                told=told,
            )
        history._ended(summary)
        return history

    def __repr__(self) -> str:
        return f"Client(home={str(self.home)!r})"


def _reopened(home: Path, settings: dict[str, Any]) -> Client:
    return Client(home, **settings)


def _home() -> Path:
    given = os.environ.get("SPHINX_HOME")
    if given:
        return Path(given)
    shared = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(shared) / "sphinx"


def _network(network: str, shape: Shape, classes: int) -> str:
    if network == "auto":
        return ""
    channels, height, width = shape
    if network == "linear":
        return (
            f'name = "linear-{channels}x{height}x{width}-{classes}"\n'
            f"input = {{ channels = {channels}, height = {height}, width = {width} }}\n"
            f'[[layers]]\nkind = "dense"\noutputs = {classes}\n'
        )
    if "\n" in network:
        return network
    path = Path(network)
    return path.read_text() if path.is_file() else f"builtin:{network}"
