import sys

import pandas as pd
import pytest

from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.draws import read_draws
from porebench.benchmarks.report.figures import makers
from porebench.benchmarks.report.scaling import medians, scaling_lines
from porebench.benchmarks.report.style import style
from porebench.benchmarks.speed.scaling import BATCH, Draw, chosen, density_of, plan, scaling
from porebench.benchmarks.store.results import SCALING, read_scaling
from porebench.generators import CONTROLS
from porebench.generators.porosity_law import PorosityLaw


def _rows(*rows: tuple[str, int, int, int, float, float]) -> pd.DataFrame:
    columns = ["generator", "edge", "volumes", "block", "seconds", "peak_bytes"]
    return pd.DataFrame(rows, columns=columns).assign(
        before_bytes=1000.0, porosity=0.2, date="2026-01-01", processor="a processor", threads=2, commit="abc"
    )


# twice the time per voxel at the larger size; 8 bytes a voxel and a constant of 500
LINEAR = [("a", 10, 1, block, 1.0, 1000 + 500 + 8e3) for block in range(3)]
TWICE = [("a", 20, 1, block, 16.0 + block, 1000 + 500 + 64e3) for block in (-1, 0, 1)]
BATCHED = [("a", 10, 64, 0, 32.0, 5000.0)]


def test_blocks_are_put_together_by_their_median() -> None:
    found = medians(_rows(*LINEAR, *TWICE, *BATCHED))
    single = found[found["volumes"] == 1]
    assert single["voxels"].tolist() == [1000, 8000]
    assert single["seconds"].tolist() == [1, 16]
    assert single["memory"].tolist() == [8500, 64500]


def test_the_table_shows_sizes_ratios_and_spread() -> None:
    text = "\n".join(scaling_lines(_rows(*LINEAR, *TWICE, *BATCHED)))
    assert "| a | 1 | 16 | 1.33 | 2.00 | 4.00 | 8.0 | 0.00 |" in text  # exponent 4/3, twice and four times linear
    assert "12 %" in text  # from 15 to 17 of 16 s


def test_a_size_that_only_one_was_drawn_at_does_not_change_the_ratio_of_the_others() -> None:
    table = _rows(*LINEAR, *TWICE, ("b", 10, 1, 0, 1.0, 2000.0), ("b", 20, 1, 0, 8.0, 3000.0))
    more = pd.concat([table, _rows(("a", 40, 1, 0, 999.0, 9000.0))])
    assert "| a | 1 | 16 | 999 |" in "\n".join(scaling_lines(more))
    assert "| b | 1 | 8 | – | 1.00 | 1.00 | – |" in "\n".join(scaling_lines(more))


def test_every_draw_is_in_every_block_in_another_order() -> None:
    blocks = [[draw for at, draw in plan(["a", "b"], (30, 60, 120), 3) if at == block] for block in range(3)]
    assert all(set(block) == set(blocks[0]) for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
    assert Draw("a", 30, BATCH) in blocks[0]


def test_by_default_those_of_any_shape_are_measured_and_others_refused() -> None:
    assert {"gaussian-field", "sphere-packing", "cvae"} <= set(chosen([]))
    assert not set(chosen([])) & {"pca", "cvae-seed", *CONTROLS}
    with pytest.raises(ValueError, match="pca draws the shape it was trained on only"):
        chosen(["pca"])


def test_the_density_of_a_porosity_is_found() -> None:
    law = PorosityLaw(1.0, 0.5, (0.0, 0.25, 0.5, 0.75, 1.0), 1.0)
    assert law.porosity(density_of(law, 0.2)) == pytest.approx(0.2, abs=1e-3)


def test_draws_are_measured_in_processes_and_rows_of_other_sizes_are_kept(tiny, tmp_path, own_cache) -> None:
    lines: list[str] = []
    for edges in ((12, 24), (24,)):
        scaling(["sphere-packing"], tmp_path, edges=edges, blocks=1, dataset=tiny, tell=lines.append)
    table = read_scaling(tmp_path)
    assert sorted(table["edge"]) == [12, 24]
    assert (table["peak_bytes"] >= table["before_bytes"]).all()
    assert (table["seconds"] > 0).all()
    assert table["output"].nunique() == 2
    assert len(lines) == 3
    found = makers(tmp_path, read_draws)
    with style("page") as width:
        labels = [text.get_text() for text in found["scaling"](width).legends[0].get_texts()]
    assert labels == ["sphere-packing", "linear"]


def test_a_damaged_table_is_one_sentence(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / SCALING).parent.mkdir(parents=True)
    (tmp_path / SCALING).write_text("generator,edge\na,1\n")
    monkeypatch.setattr(sys, "argv", ["porebench"])
    with pytest.raises(SystemExit) as ended:
        main("report", "--results", str(tmp_path), "--readme", str(tmp_path / "README.md"))
    assert ended.value.code == 2
    assert "make it again with porebench scaling" in " ".join(capsys.readouterr().err.split())
