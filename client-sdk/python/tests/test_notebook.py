"""The notebook, executed from start to end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[3] / "docs/notebooks/private-digits.ipynb"


def test_the_notebook_runs_from_start_to_end(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=170, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env={**os.environ, "IPYTHONDIR": str(tmp_path)})

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = {
        cell.source: output["data"]
        for cell in cells
        for output in cell.outputs
        if "data" in output
    }
    (curves,) = [data["text/html"] for data in shown.values() if "<svg" in data.get("text/html", "")]
    assert curves.count("polyline") == 3
    (accuracy,) = [data["text/plain"] for source, data in shown.items() if "accuracy" in source]
    assert float(accuracy.removeprefix("np.float64(").rstrip(")")) > 0.8
    (refused,) = [
        output["text"] for cell in cells for output in cell.outputs if output.get("name") == "stdout"
    ]
    assert "floats are pixels from 0 to 1" in refused
