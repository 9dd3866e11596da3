import base64
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from skimage.io import imread
from tests.tables import CALIBRATION, CURVES

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.draws import read_draws
from porebench.benchmarks.report import plots
from porebench.benchmarks.report.figures import draw, makers, write_figures
from porebench.benchmarks.report.page.plots import interactive
from porebench.benchmarks.report.series import (
    Cost,
    costs,
    front_line,
    pareto_front,
    throughputs,
)
from porebench.benchmarks.report.style import WIDTHS, looks, style
from porebench.benchmarks.report.volumes import NoDrawsError, exposed_faces, typical_slice
from porebench.benchmarks.store.files import save_samples
from porebench.benchmarks.store.results import REAL, Run, Score, read_runs, read_speed
from porebench.generators import GENERATORS

pytest.importorskip("matplotlib")


def _cost(name: str, score: float, fit: float, milliseconds: float) -> Cost:
    return Cost(name, Score(score, score, score), fit, milliseconds)


def test_on_the_front_are_those_that_no_other_beats_in_both() -> None:
    points = [
        _cost("a", 5, 0, 1),
        _cost("b", 2, 0, 3),
        _cost("c", 3, 0, 4),
        _cost("d", 1, 0, 9),
        _cost("noise", 0, 0, 0),
    ]
    assert [point.generator for point in pareto_front(points)] == ["a", "b", "d"]
    assert front_line(points) == ([1, 1, 3, 3, 9, 9, 9], [5, 5, 5, 2, 2, 1, 1])


def test_costs_and_speeds_are_those_of_the_files(results) -> None:
    (run,) = read_runs(results)
    assert run.generators[0] == "reference"
    found = {cost.generator: cost for cost in costs(run)}
    record = run.manifest["generators"]["pca"]
    assert found["pca"].milliseconds == record["sample_milliseconds"]
    assert found["pca"].score.low <= found["pca"].score.value <= found["pca"].score.high
    speed = read_speed(results)
    assert [(item.generator, item.volumes, item.rate) for item in throughputs(speed)] == [
        ("pca", 1, 100.0),
        ("pca", 64, 600.0),
        ("porespy blobs", 64, 200.0),
    ]


def test_draws_are_matched_with_real_volumes_in_density(results) -> None:
    (run,) = read_runs(results)
    draws = read_draws(run)
    assert list(draws.voxels) == [REAL, *run.generators]
    assert np.all(np.diff(draws.density) > 0)
    assert not draws.missing
    for volumes in draws.voxels.values():
        assert len(volumes) == len(draws.density)
        assert volumes[-1].mean() > volumes[0].mean()


def test_real_volumes_of_another_run_are_refused(results, tiny, tmp_path) -> None:
    (run,) = read_runs(results)
    elsewhere = Run(tmp_path, run.table, run.manifest)
    save_samples(tiny.validation, tmp_path / "samples" / ".real.npz")
    with pytest.raises(NoDrawsError, match="porebench evaluate"):
        read_draws(elsewhere)


def test_a_built_in_data_set_is_drawn_from_afresh_where_no_draws_are_kept(results, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("POREBENCH_CACHE", str(tmp_path / "fits"))
    dataset = data.load("spheres-small")
    (run,) = read_runs(results)
    table = run.table[run.table["generator"] != "pca"].replace("reference", "unheard-of")
    facts = {**run.manifest["run"], "test": dataset.test.digest(), "n_test": len(dataset.test)}
    records = {"noise": run.records["noise"], "unheard-of": run.records["reference"]}
    fresh = Run(tmp_path / "spheres-small", table, {"run": facts, "generators": records})
    draws = read_draws(fresh)
    assert list(draws.voxels) == [REAL, "noise"]
    assert list(draws.missing) == ["unheard-of"]


def test_generators_are_compared_over_data_sets_the_best_on_average_first(results) -> None:
    (run,) = read_runs(results)
    scores = run.scores("nfr100")
    best, *_, worst = run.generators
    turned = run.table.replace({"generator": {best: worst, worst: best}})
    turned.loc[turned["generator"] == best, "value"] *= 10
    others = Run(run.folder.parent / "other", turned[turned["generator"] != "pca"], run.manifest)
    assert plots.media([run]) == {}
    (found,) = plots.media([run, others]).values()
    assert found.columns == [run.name, "other"]
    assert set(found.rows) == set(run.generators)
    assert found.rows.index(worst) < found.rows.index(best)
    by_name = dict(zip(found.rows, found.texts, strict=True))
    assert by_name[best][0] == f"{scores[best].value:.1f}"
    assert by_name["pca"][1] == ""
    with style("page") as width:
        assert draw(plots.media([run, others]), width).axes


def test_profiles_are_read_with_the_real_volumes_first(tmp_path) -> None:
    (tmp_path / "curves.csv").write_text(CURVES)
    (tmp_path / "calibration.csv").write_text(CALIBRATION)
    (found,) = (plot.series for plot in plots.curves(tmp_path, every_band=True).values())
    assert [profile.name for profile in found] == [REAL, "pca"]
    assert found[1].x == [0.2, 0.6]
    assert found[1].high == [0.3, 0.5]
    (calibrated,) = plots.calibration(tmp_path).values()
    real, exact, free = calibrated.series
    assert [profile.name for profile in (real, exact, free)] == ["real", "pca", "pca, free count"]
    assert free.x == [0.5]  # at 0.1 a single voxel would be a hundred percent
    assert free.y == pytest.approx([30])
    for described in (plots.curves(tmp_path), plots.calibration(tmp_path)):
        with style("page") as width:
            drawn = draw(described, width)
        assert [text.get_text() for text in drawn.legends[0].get_texts()][:2] == ["real", "pca"]
    assert plots.curves(tmp_path / "absent") == plots.calibration(tmp_path / "absent") == {}


def test_permeability_is_averaged_in_classes_of_density_and_what_never_flows_has_no_point(tmp_path) -> None:
    density = np.linspace(0.1, 0.9, 18)
    lines = ["generator,samples,density,porosity,depth,height,width"]
    for name, scale in (("noise", 0.0), ("real", 2.0)):
        lines += [f"{name},x,{d},{d / 2},{scale * d},{scale * d},{scale * d}" for d in density]
    (tmp_path / "flow.csv").write_text("\n".join(lines))
    (plot,) = plots.flow(tmp_path).values()
    assert [series.name for series in plot.series] == ["real", "noise"]
    assert plot.series[0].x == pytest.approx(density.reshape(9, 2).mean(axis=1) / 2)
    assert plot.series[0].y == pytest.approx(2 * density.reshape(9, 2).mean(axis=1))
    assert np.isnan(plot.series[1].y).all()
    assert plots.flow(tmp_path / "absent") == {}


def test_conductivity_is_averaged_in_classes_of_density(tmp_path) -> None:
    density = np.linspace(0.1, 0.9, 18)
    lines = ["generator,samples,density,conductivity:depth,conductivity:height,conductivity:width"]
    lines += [f"real,x,{d},{d},{2 * d},{3 * d}" for d in density]
    (tmp_path / "conduction.csv").write_text("\n".join(lines))
    (plot,) = plots.conduction(tmp_path).values()
    (line,) = plot.series
    assert line.x == pytest.approx(density.reshape(9, 2).mean(axis=1))
    assert line.y == pytest.approx(2 * density.reshape(9, 2).mean(axis=1))
    assert plots.conduction(tmp_path / "absent") == {}


def test_a_typical_slice_is_as_porous_as_its_volume() -> None:
    volume = np.zeros((3, 4, 4), dtype=bool)
    volume[1, :2] = True
    volume[2] = True
    assert np.array_equal(typical_slice(volume), volume[1])


def test_faces_are_those_that_can_be_seen() -> None:
    volume = np.zeros((3, 3, 3), dtype=bool)
    volume[1, 1, 1] = volume[2, 1, 1] = True
    corners, axes = exposed_faces(volume)
    assert sorted(axes) == [0, 1, 1, 2, 2]
    (top,) = corners[axes == 0]
    assert top.tolist() == [[3, 1, 1], [3, 2, 1], [3, 2, 2], [3, 1, 2]]


def test_every_generator_looks_different_and_always_the_same() -> None:
    found = looks([*GENERATORS, "mine"])
    assert len(set(found.values())) == len(found)
    assert looks(["mine", "pca"])["pca"] == found["pca"]


def test_figures_fit_the_column_of_a_journal(results, tmp_path) -> None:
    written = write_figures(results, tmp_path, "column", draws=read_draws)
    assert {path.stem for path in written} == set(makers(results, read_draws))
    assert {"bands-tiny", "cost-tiny", "gallery-tiny", "solids-tiny", "speed"} <= set(makers(results, read_draws))
    for path in written:
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().attrib["width"] == f"{WIDTHS['column'] * 72:f}".rstrip("0") + "pt"  # noqa: S314
        else:
            assert imread(path).shape[1] == int(WIDTHS["column"] * 300)


def test_the_same_results_give_the_same_files(results, tmp_path) -> None:
    one, two = (
        write_figures(results, tmp_path / name, "page", ["cost-tiny"], draws=read_draws) for name in ("one", "two")
    )
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_figure_shows_each_generator_by_name(results) -> None:
    with style("page") as width:
        figure = makers(results, read_draws)["cost-tiny"](width)
    assert {"reference", "pca", "noise"} <= {text.get_text() for text in figure.legends[0].get_texts()}


def test_paper_and_page_show_the_same_numbers(results) -> None:
    pytest.importorskip("plotly")
    (run,) = read_runs(results)
    for described in (plots.bands(run), plots.cost(run)):
        (plot,) = described.values()
        shown = {trace["name"]: trace for trace in interactive(plot)["data"]}
        with style("page") as width:
            axes = draw(described, width).axes[0]
        printed = {text: handle for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
        assert set(shown) == set(printed)
        for series in plot.series:
            assert _values(shown[series.name]["y"]) == pytest.approx(series.y)
            handle = printed[series.name]
            line = handle if hasattr(handle, "get_ydata") else handle.lines[0]
            assert line.get_ydata() == pytest.approx(series.y)
        assert interactive(plot)["layout"]["yaxis"]["type"] == axes.get_yscale() == "log"


def _values(values) -> list[float]:
    """Numbers of a trace, which plotly packs if they are many."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()
    return values


def test_maps_have_the_same_texts_on_paper_and_page() -> None:
    pytest.importorskip("plotly")
    rows = [("nothing", "all", 50, 0.042), ("blur", "all", 50, 1.0), ("nothing", "all", 100, 0.05)]
    table = pd.DataFrame(rows, columns=["planted", "band", "volumes", "found"])
    (found,) = plots.power(table).values()
    assert found.columns == ["headline, N = 50", "headline, N = 100"]
    assert found.texts == [["4.2", "5"], ["100", "–"]]
    with style("page") as width:
        axes = draw({"": found}, width).axes[0]
    assert [text.get_text() for text in axes.texts] == ["4.2", "5", "100", "–"]
    assert interactive(found)["data"][0]["text"] == found.texts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--results", "{tmp}"], "there are no results"), (["--results", "{results}", "--only", "x"], "no figure 'x'")],
)
def test_figures_that_cannot_be_drawn_are_one_sentence(
    arguments, words, results, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys, "argv", ["porebench"])
    with pytest.raises(SystemExit) as ended:
        main("figures", "-o", str(tmp_path), *(word.format(tmp=tmp_path, results=results) for word in arguments))
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
