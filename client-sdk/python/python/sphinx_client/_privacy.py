"""Budgets: planned, accounted for, and what is recorded of them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from . import _native


@dataclass(frozen=True)
class Epsilon:
    """ε at one δ, by every accountant; ``proven`` is the one to state."""

    proven: float
    pld: float | None
    rdp: float
    classical: float

    def __float__(self) -> float:
        return self.proven


class Accountant:
    """Adds up what noisy steps spend.

    >>> accountant = Accountant()
    >>> accountant.compose(sampling_rate=0.03, noise_multiplier=1.5, steps=300)
    >>> round(float(accountant.epsilon(delta=1e-5)), 1)
    1.7
    """

    def __init__(self) -> None:
        self._native = _native.Accountant()

    def compose(self, sampling_rate: float, noise_multiplier: float, steps: int) -> None:
        """Adds steps of a training that was fixed in advance."""
        self._native.compose(sampling_rate, noise_multiplier, steps)

    def epsilon(self, delta: float = 1e-5) -> Epsilon:
        """What all steps together have spent."""
        return Epsilon(*self._native.epsilon(delta))


@dataclass(frozen=True)
class Plan:
    """A training within a budget, before it begins."""

    steps: int
    sampling_rate: float
    noise_multiplier: float
    epsilon: float


def plan(
    examples: int, epsilon: float, epochs: float, delta: float = 1e-5, blocks: int = 1
) -> Plan:
    """The noise that a training needs to stay within ε."""
    return Plan(*_native.plan(examples, epsilon, epochs, delta, blocks))


@dataclass(frozen=True)
class PrivacyLedger:
    """What a model has spent. The ledger itself is a file of the home and never leaves it."""

    model: str
    examples: int
    steps: int
    epsilon: float | None
    delta: float
    budget: float | None
    unconfirmed: bool

    @classmethod
    def _read(cls, text: str) -> PrivacyLedger:
        found = json.loads(text)
        return cls(**{name: found[name] for name in cls.__dataclass_fields__})

    @property
    def left(self) -> float | None:
        """What the budget leaves; ``None`` without one, or where nothing is proven."""
        if self.budget is None or self.epsilon is None:
            return None
        return max(0.0, self.budget - self.epsilon)

    def _repr_html_(self) -> str:
        spent = "none proven" if self.epsilon is None else f"{self.epsilon:.3f}"
        budget = "–" if self.budget is None else f"{self.budget:g}"
        share = 0.0
        if self.epsilon is not None and self.budget:
            share = min(1.0, self.epsilon / self.budget)
        return (
            f"<div><b>{self.model}</b>: ε {spent} of {budget} at δ = {self.delta:g}, "
            f"{self.steps} steps on {self.examples} images<br>"
            f'<meter min="0" max="1" value="{share:.4f}" style="width:20em">{share:.0%}</meter></div>'
        )


@dataclass(frozen=True)
class DataSet:
    """What all models of this home together have spent of a data set."""

    name: str
    images: int
    private: int
    models: list[str]
    delta: float
    epsilon: float | None
    cap: float | None
    left: float | None
