"""Real services, started once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import sphinx_client
from sphinx_client import Client, LocalCluster

#: Average pooling and one dense layer: trains in milliseconds.
TINY = """
name = "tiny"
input = { channels = 1, height = 28, width = 28 }
[[layers]]
kind = "avg_pool"
size = 4
[[layers]]
kind = "dense"
outputs = 10
"""

Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    with sphinx_client.local_cluster() as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster, tmp_path: object) -> Client:
    """A home of one's own."""
    return cluster.client(home=f"{tmp_path}/home")


@pytest.fixture(scope="session")
def digits() -> tuple[Digits, Digits]:
    return sphinx_client.load_mnist()


@pytest.fixture
def environment(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """What ``Client()`` finds."""
    monkeypatch.setenv("SPHINX_TRAINER", cluster.trainer)
    monkeypatch.setenv("SPHINX_INFERENCE", cluster.inference)
    monkeypatch.setenv("SPHINX_KEYVAULT", cluster.keyvault)
    monkeypatch.setenv("SPHINX_HOME", f"{tmp_path}/home")
