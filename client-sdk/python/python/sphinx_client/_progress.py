"""A bar while a training runs, by tqdm where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from ._history import Step

Told = Callable[[Step], None]


class Progress:
    """Shows steps as they come: ``True`` for a bar, ``False`` for silence, or a function."""

    def __init__(self, shown: bool | Told) -> None:
        self._told = shown if callable(shown) else None
        self._bar: Any = None
        self._wanted = shown is True

    def step(self, step: Step) -> None:
        """Shows one step."""
        if self._told is not None:
            self._told(step)
        if not self._wanted:
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=step.steps, unit="step")
        spent = "" if step.epsilon is None else f", ε {step.epsilon:.2f}"
        self._bar.set_postfix_str(
            f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}{spent}, "
            f"{step.images_per_second:.0f} images/s"
        )
        self._bar.update(step.step - self._bar.n)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
