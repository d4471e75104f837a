"""What a training tells of itself: steps, the whole, and its picture in a notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ._svg import curve


@dataclass(frozen=True)
class Step:
    """The state of a training after a step."""

    step: int
    steps: int
    epoch: float
    loss: float
    accuracy: float
    images: int
    clipped: float
    seconds: float
    epsilon: float | None
    bytes_up: int
    bytes_down: int

    @property
    def images_per_second(self) -> float:
        """Images of the step by its time."""
        return self.images / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Estimate:
    """What a training will take and cost, known before anything is spent."""

    network: str
    weights: int
    images: int
    steps: int
    batch: int
    epochs: float
    noise_multiplier: float | None
    bytes_up: int
    bytes_down: int

    @classmethod
    def _read(cls, text: str) -> Estimate:
        found = json.loads(text)
        return cls(**{name: found[name] for name in cls.__dataclass_fields__})


@dataclass
class History:
    """A training: every step, and in the end what it came to. Shows its curves in a notebook."""

    estimate: Estimate | None = None
    steps: list[Step] = field(default_factory=list)
    version: int | None = None
    seconds: float = 0.0
    images: int = 0
    epsilon: float | None = None
    budget_exhausted: bool = False

    def _told(self, news: Any) -> Step | None:
        if isinstance(news, str):
            self.estimate = Estimate._read(news)
            return None
        step = Step(**news)
        self.steps.append(step)
        self.images += step.images
        self.epsilon = step.epsilon
        return step

    def _ended(self, summary: str) -> None:
        ended = json.loads(summary)
        self.version, self.seconds = ended["version"], ended["seconds"]
        self.images, self.epsilon = ended["images"], ended["epsilon"]
        self.budget_exhausted = ended["budget_exhausted"]

    @property
    def images_per_second(self) -> float:
        """Images trained on, with repetition, by the time of all steps."""
        return self.images / max(self.seconds, 1e-9)

    def __repr__(self) -> str:
        last = self.steps[-1] if self.steps else None
        state = "not begun" if last is None else f"step {last.step}/{last.steps}"
        loss = "" if last is None else f", loss {last.loss:.3f}, accuracy {last.accuracy:.3f}"
        spent = "" if self.epsilon is None else f", ε {self.epsilon:.3f}"
        return f"<History: {state}{loss}{spent}>"

    def _repr_html_(self) -> str:
        plots = [
            curve("loss", [step.loss for step in self.steps]),
            curve("accuracy", [step.accuracy for step in self.steps]),
        ]
        if any(step.epsilon is not None for step in self.steps):
            plots.append(curve("ε", [step.epsilon or 0.0 for step in self.steps]))
        traffic = self.steps[-1] if self.steps else None
        rows = [("steps", len(self.steps)), ("images/s", f"{self.images_per_second:.0f}")]
        if traffic is not None:
            rows.append(("sent", f"{traffic.bytes_up / 1e6:.1f} MB"))
            rows.append(("received", f"{traffic.bytes_down / 1e6:.1f} MB"))
        cells = "".join(f"<td><b>{name}</b> {value}</td>" for name, value in rows)
        return f"<div>{''.join(plots)}<table><tr>{cells}</tr></table></div>"
