"""Lengths in the unit of a data set, beside those in voxels, wherever the run's image states the size of a voxel."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from porebench.benchmarks.report import plots
from porebench.benchmarks.report.accuracy import accuracy_markdown
from porebench.benchmarks.report.details import side_markdown
from porebench.benchmarks.report.lengths import voxel_of_run, voxel_sentence
from porebench.benchmarks.report.studies import SHOWN
from porebench.benchmarks.store.digests import ROOT
from porebench.benchmarks.store.results import Run, read_run
from porebench.data.phase import Phase, voxel_in


@pytest.mark.parametrize(
    ("voxel", "known"),
    [
        ("5.345 µm", (5.345, "µm")),
        ("2.5", (2.5, "")),
        ("1e-06 m", (1e-6, "m")),
        ("1 µm, resampled from 4 × 1 × 1 µm (depth × height × width)", (1.0, "µm")),
        ("1, resampled from 4 × 1 × 1 (depth × height × width)", (1.0, "")),
        ("", None),
    ],
)
def test_the_size_of_a_voxel_is_found_in_the_sentence_that_a_run_keeps(voxel, known) -> None:
    phase = Phase((0.0,), 0.2, "of 0, 255; as asked", "a warning", voxel=voxel, outside=0.1, picked="channel 1")
    assert voxel_in(f"{phase}; 3 of 9 blocks touch the outside and are left out") == known


def _run(voxel: str) -> Run:
    run = read_run(ROOT / "results" / "spheres")
    return replace(run, manifest={**run.manifest, "phase": f"pore = 0 (as asked), porosity 0.200{voxel}"})


def _column(text: str, title: str, heading: str) -> dict[str, list[float]]:
    """The numbers in one column of a table below a heading, by generator."""
    section = text.partition(title)[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.split("\n") if line.startswith("| ")]
    header = lines[0]
    rows = [line for line in lines[2:] if len(line) == len(header)]
    return {row[0]: [float(part) for part in re.findall(r"\d+\.?\d*", row[header.index(heading)])] for row in rows}


def test_tables_state_lengths_in_the_unit_of_the_data_set() -> None:
    run = _run("; voxels of 5 µm")
    text = accuracy_markdown(run)
    assert "1 voxel = 5 µm. Lengths are in voxels but where a unit is named." in text
    title = "## Companion columns"
    for quantity, unit, factor in (("pore radius", "µm", 5.0), ("specific surface", "1/µm", 0.2)):
        voxels = _column(text, title, f"{quantity} error (floor)")
        for name, found in _column(text, title, f"{quantity} error, {unit} (floor)").items():
            assert found == pytest.approx([factor * value for value in voxels[name]], rel=0.02), (quantity, name)
    reconstructed = _column(text, "## Reconstruction of test volumes", "radius W1, voxels")
    assert reconstructed
    for name, found in _column(text, "## Reconstruction of test volumes", "radius W1, µm").items():
        assert found == pytest.approx([5 * value for value in reconstructed[name]], rel=0.02, abs=0.005)
    sizes = _column(text, "## Sizes of drawn pores", "radius W1 to real")
    for name, found in _column(text, "## Sizes of drawn pores", "radius W1 to real, µm").items():
        assert found == pytest.approx([5 * value for value in sizes[name]], rel=0.05, abs=0.05)
    assert "1 voxel = 5 µm." in (side_markdown(run.folder, voxel_sentence(voxel_of_run(run))) or "")


def test_tables_without_a_known_unit_stay_in_voxels() -> None:
    plain, edge = accuracy_markdown(_run("")), accuracy_markdown(_run("; voxels of 5"))
    assert "1 voxel" not in plain
    assert "1 voxel = 5, in the unit that the data set was given in." in edge
    assert plain.partition("NFR100 (noise")[2] == edge.partition("NFR100 (noise")[2]


def test_axes_of_plots_are_in_the_unit_of_the_data_set(tmp_path) -> None:
    lines = ["descriptor,generator,density,mean,low,high"]
    lines += [f"{name},real,0.5,2.0,1.0,4.0" for name in ("mean_chord", "specific_surface", "euler_6")]
    (tmp_path / "curves.csv").write_text("\n".join(lines))
    found = plots.curves(tmp_path, (5.0, "µm"))
    for name, label, low, high in (
        ("mean chord", "µm", 5.0, 20.0),
        ("specific surface", "1/µm", 0.2, 0.8),
        ("euler 6", "per volume", 1.0, 4.0),
    ):
        (line,) = found[name].series
        assert (found[name].y.label, line.low, line.high) == (label, [low], [high])
        assert found[name].x.label == "density"
    assert plots.curves(tmp_path, (5.0, "")) == plots.curves(tmp_path)
    (tmp_path / "flow.csv").write_text(
        "generator,samples,density,porosity,depth,height,width\n" + "real,x,0.5,0.2,2,2,2\n" * 9
    )
    (flow,) = plots.flow(tmp_path, (5.0, "µm")).values()
    assert flow.y.label == "mean permeability, µm²"
    assert flow.series[0].y == pytest.approx([50.0] * 9)


def test_sizes_of_blocks_are_in_the_unit_of_the_image() -> None:
    units = dict.fromkeys(SHOWN, "") | {"mean_chord": "voxel"}
    values = {"edge": [10, 20], "mean": 4.0, "sd": 1.0, "low": 3.5, "high": 4.5}
    table = pd.concat([pd.DataFrame(values | {"descriptor": name, "unit": unit}) for name, unit in units.items()])
    plot = plots.representative(table, (2.5, "µm"))[SHOWN["mean_chord"]]
    assert (plot.x.label, dict(plot.x.ticks)) == ("edge of a block, µm", {25.0: "25", 50.0: "50"})
    assert (plot.y.label, plot.series[1].y) == ("µm", [10.0, 10.0])
    plain = plots.representative(table)[SHOWN["mean_chord"]]
    assert (plain.x.label, dict(plain.x.ticks)) == ("edge of a block, voxels", {10: "10", 20: "20"})
