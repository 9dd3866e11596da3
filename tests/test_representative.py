"""Descriptors against block size, on images whose block statistics are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.report.documents import write_reports
from porebench.metrics.descriptors import describe
from porebench.metrics.representative import sampled_blocks, size_points


def _by_name(points):
    return {point.descriptor: point for point in points}


def test_independent_voxels_vary_as_the_binomial_law_says() -> None:
    volume = np.random.default_rng(60).random((80, 80, 80)) < 0.3
    for edge in (5, 10, 20):
        porosity = _by_name(size_points(sampled_blocks(volume, edge, 500, np.random.default_rng(0))))["porosity"]
        assert porosity.n == min(500, (80 // edge) ** 3)
        assert porosity.mean == pytest.approx(0.3, abs=0.01)
        expected = np.sqrt(0.3 * 0.7 / edge**3)
        assert porosity.sd == pytest.approx(expected, rel=4 / np.sqrt(2 * porosity.n))
        assert porosity.variation == pytest.approx(100 * porosity.sd / porosity.mean)
        assert porosity.low < 0.3 < porosity.high


def test_a_periodic_image_has_no_spread_between_whole_periods() -> None:
    volume = np.zeros((24, 24, 24), dtype=bool)
    volume[::4] = True
    found = _by_name(size_points(sampled_blocks(volume, 8, 100, np.random.default_rng(0))))
    assert found["porosity"].mean == 0.25
    assert found["porosity"].sd == 0
    assert found["n_components"].mean == pytest.approx(2 * 1000 / 8**3)
    assert found["percolation"].mean == pytest.approx(2 / 3)
    assert found["percolation"].low < 2 / 3 < found["percolation"].high


def test_blocks_are_disjoint_and_those_of_the_image() -> None:
    volume = np.random.default_rng(61).random((9, 8, 12)) < 0.5
    every = sampled_blocks(volume, 4, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(every, data.blocks(volume, 4))
    some = sampled_blocks(volume, 4, 5, np.random.default_rng(1))
    places = [next(i for i, block in enumerate(every) if np.array_equal(block, one)) for one in some]
    assert len(set(places)) == 5
    with pytest.raises(ValueError, match="between 1 and 8"):
        sampled_blocks(volume, 9, 1, np.random.default_rng(0))


def test_descriptors_are_those_of_the_suite() -> None:
    blocks = np.random.default_rng(62).random((6, 7, 7, 7)) < 0.3
    found, described = _by_name(size_points(blocks)), describe(blocks)
    assert found["mean_chord"].mean == pytest.approx(described.values["mean_chord"].mean())
    assert found["euler_6"].mean == pytest.approx(described.values["euler_6"].mean() * 1000 / 343)
    assert found["specific_surface"].sd == pytest.approx(described.values["specific_surface"].std(ddof=1))
    with pytest.raises(ValueError, match="at least 2 blocks"):
        size_points(blocks[:1])


def test_the_command_writes_table_and_figure_that_the_report_takes_up(tmp_path, monkeypatch, capsys) -> None:
    image = tmp_path / "rock.npy"
    np.save(image, np.random.default_rng(63).random((30, 32, 40)) < 0.2)
    arguments = ["representative", str(image), "--size", "8", "--size", "5", "--out", str(tmp_path / "results")]
    monkeypatch.setattr("sys.argv", ["porebench", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    table = pd.read_csv(tmp_path / "results" / "rock" / "representative.csv")
    assert list(dict.fromkeys(table.edge)) == [5, 8]
    assert (tmp_path / "results" / "rock" / "representative.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "| 8³ | 60 |" in printed
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table representative rock -->\n<!-- end -->\n")
    write_reports(tmp_path / "results", readme)
    assert "| 5³ | 288 |" in readme.read_text()
    assert "voxels of" not in readme.read_text()
    monkeypatch.setattr("sys.argv", ["porebench", *arguments[:-4], *arguments[-2:], "--voxel-size", "2.5"])
    with pytest.raises(SystemExit):
        main()
    assert "Lengths are in voxels of 2.5." in capsys.readouterr().out
    write_reports(tmp_path / "results", readme)
    assert "Lengths are in voxels of 2.5." in readme.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["representative", "spheres"], "simulated volumes"),
        (["representative", "{tmp}"], "folder of volumes"),
        (["representative", "{tmp}/rock.npy", "--size", "40"], "between 1 and 30"),
        (["representative", "{tmp}/rock.npy", "--size", "20"], "at least 2 blocks"),
    ],
)
def test_images_that_are_none_are_refused(tmp_path, monkeypatch, capsys, arguments, words) -> None:
    np.save(tmp_path / "rock.npy", np.random.default_rng(64).random((30, 30, 30)) < 0.2)
    np.save(tmp_path / "other.npy", np.zeros((2, 2, 2)))
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["porebench", *filled, "--out", str(tmp_path / "results")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
