"""The tour of the package runs as it is written."""

import pathlib

import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
import nbformat  # noqa: E402 - comes with nbclient

TOUR = pathlib.Path(__file__).parents[1] / "notebooks" / "tour.ipynb"


def test_the_tour_runs_and_shows_what_it_says(tmp_path):
    pytest.importorskip("numpy")
    notebook = nbformat.read(TOUR, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = ["".join(output["data"]["text/html"]) for output in shown if "text/html" in output.get("data", {})]
    texts = [output["data"]["text/plain"] for output in shown if "data" in output]
    assert len(pages) >= 8 and not any(output.output_type == "error" for output in shown)
    assert sum("<svg" in page for page in pages) >= 2
    assert any("tuning" in page for page in pages) and any("squares" in page for page in pages)
    assert "(10, 'complete')" in texts
    everything = "\n".join(pages)
    assert "http://" not in everything.replace("http://www.w3.org", "") and "https://" not in everything
