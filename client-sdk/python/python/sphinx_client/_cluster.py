"""The three services on this machine, for notebooks and tests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType

from ._client import Client
from ._native import NativeCluster


class LocalCluster:
    """Real services on loopback; they stop with ``close``, the ``with`` block, or this process."""

    def __init__(self, program: str | os.PathLike[str] | None = None) -> None:
        program = program or os.environ.get("SPHINX_PROGRAM") or None
        self._native = NativeCluster(program)
        self._home = tempfile.TemporaryDirectory(prefix="sphinx-home-")
        self.trainer, self.inference, self.keyvault = self._native.addresses

    def client(self, home: str | os.PathLike[str] | None = None) -> Client:
        """A client of these services; without a home its keys and ledgers go with the cluster."""
        return Client(
            home=Path(self._home.name) if home is None else home,
            trainer=self.trainer,
            inference=self.inference,
            keyvault=self.keyvault,
        )

    def close(self) -> None:
        """Stops the services and removes the temporary home."""
        self._native.close()
        self._home.cleanup()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalCluster(trainer={self.trainer!r}, inference={self.inference!r})"


def local_cluster(program: str | os.PathLike[str] | None = None) -> LocalCluster:
    """Starts trainer, inference and key vault by the command ``sphinx``.

    ``program`` is where the command is; otherwise ``SPHINX_PROGRAM``, then ``PATH``.
    """
    return LocalCluster(program)
