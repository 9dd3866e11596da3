import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.tables import CALIBRATION, CURVES

from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.draws import read_draws
from porebench.benchmarks.report.page import build_page, write_page
from porebench.benchmarks.report.page.build import TEMPLATES
from porebench.benchmarks.report.page.tables import explanation, render_markdown
from porebench.benchmarks.store.results import read_runs
from porebench.data import read_set

pytest.importorskip("plotly")
pytestmark = pytest.mark.usefixtures("own_cache")

EVIL = "</script><img src=x onerror='document.title=1'>"


@pytest.fixture(scope="module")
def page(results) -> str:
    """The page of a complete, small results folder."""
    return build_page(results, read_draws)


def test_an_empty_folder_gives_a_page_that_names_every_command(tmp_path) -> None:
    page = write_page(tmp_path / "results", read_draws).read_text()
    for command in ("porebench evaluate", "make bench", "porebench validate"):
        assert f"Make it with: <code>{command}</code>" in page
    assert 'class="plot"' not in page


def test_a_page_has_every_section_and_loads_nothing(page) -> None:
    for name in (
        "accuracy-tiny",
        "bands-tiny",
        "cost-tiny",
        "gallery-tiny",
        "view-tiny",
        "speed-plot",
        "provenance-tiny",
    ):
        assert f'<article id="{name}"' in page
    assert "default-src 'none'" in page
    head = page[: page.index('id="plotly"')]
    assert 'src="http' not in head
    assert 'href="http' not in head
    assert len(page) < 12e6


def test_what_results_say_is_never_taken_for_html(results, page, tmp_path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    for file in ("accuracy.csv", "manifest.json"):
        path = copy / "tiny" / file
        path.write_text(path.read_text().replace("pca", EVIL))
    assert any("onerror" in name for name in read_runs(copy)[0].generators)
    poisoned = build_page(copy, read_draws)
    assert "onerror" in poisoned
    assert "<img src=x" not in poisoned
    assert poisoned.count("</script>") == page.count("</script>")


def test_without_draws_the_page_says_which_command_makes_them(results, tmp_path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy, ignore=shutil.ignore_patterns("samples"))
    page = build_page(copy, read_draws)
    assert "The real volumes of tiny are not at hand" in page
    assert '<article id="bands-tiny"' in page
    assert 'data-scene="view-tiny"' not in page


def test_draws_of_another_run_are_not_shown(results, tmp_path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    shutil.copy(copy / "tiny" / "samples" / "noise.npz", copy / "tiny" / "samples" / "pca.npz")
    assert "Not at hand: draws of pca" in build_page(copy, read_draws)


def test_studies_appear_when_their_files_are_there(results, tmp_path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    folder = copy / "validation" / "tiny"
    folder.mkdir(parents=True)
    rows = [
        ("nothing", "all", 50, 0.05),
        ("blur", "all", 50, 0.9),
        ("nothing", "all", 100, 0.04),
        ("blur", "all", 100, 1),
    ]
    pd.DataFrame(rows, columns=["planted", "band", "volumes", "found"]).to_csv(folder / "power.csv", index=False)
    (folder / "validation.md").write_text("# Validation on tiny\n\n| planted | NFR100 |\n| --- | --- |\n| blur | 9 |\n")
    (copy / "tiny" / "curves.csv").write_text(CURVES)
    (copy / "tiny" / "calibration.csv").write_text(CALIBRATION)
    (copy / "ablation" / "tiny").mkdir(parents=True)
    (copy / "ablation" / "tiny" / "ablation.md").write_text(
        "# Ablation\n\n| variant | NFR100 |\n| --- | --- |\n| kl | 12.5 |\n"
    )
    page = build_page(copy, read_draws)
    assert '<article id="validation-tiny"' in page
    assert "headline, N = 100" in page
    assert "<td>blur</td>" in page
    assert "<option>specific surface</option>" in page
    assert "pca, free count" in page
    assert "<td>12.5</td>" in page
    assert "porebench validate</code></p>" not in page


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js: apt-get install nodejs")
@pytest.mark.parametrize(("edge", "unit"), [(2.5, "um"), (1 / 29, ""), (1, "")])
def test_files_that_the_page_saves_are_read_with_their_voxel_size(edge, unit, tmp_path) -> None:
    voxels = np.random.default_rng(0).random((4, 5, 6)) < 0.4
    bits = voxels.ravel().astype(int).tolist()
    script = (TEMPLATES / "files.js").read_text() + (
        f"const bits = Uint8Array.from({bits});"
        "const write = (parts, suffix) => new Blob(parts).arrayBuffer().then((content) =>"
        " require('fs').writeFileSync(fileName('a rock', 'pca', 3, 0.41234, suffix), Buffer.from(content)));"
        f"write(nrrdFile(bits, [4, 5, 6], {edge}, '{unit}'), 'nrrd'); write(npyFile(bits, [4, 5, 6]), 'npy');"
    )
    subprocess.run(["node", "-e", script], cwd=tmp_path, check=True)  # noqa: S603, S607 - our own script
    for suffix in ("nrrd", "npy"):
        found = read_set(tmp_path / f"a-rock-pca_003_0.412.{suffix}")
        np.testing.assert_array_equal(found.voxels[0], voxels)
        assert found.phase.warning == ""
        assert found.voxel_size == pytest.approx(edge if suffix == "nrrd" else 1)
    assert (" µm" in str(read_set(tmp_path / "a-rock-pca_003_0.412.nrrd").phase)) == (unit == "um")


def test_the_unit_of_a_voxel_is_said_and_saved(results, tmp_path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    manifest = json.loads((copy / "tiny" / "manifest.json").read_text())
    manifest["phase"] = "pore = 0 (as asked), porosity 0.200; voxels of 5 µm"
    (copy / "tiny" / "manifest.json").write_text(json.dumps(manifest))
    page = build_page(copy, read_draws)
    for panel in ("accuracy-tiny", "view-tiny"):
        assert "1 voxel = 5 µm." in page[page.index(f'<article id="{panel}"') :].partition("</article>")[0]
    assert '"unit": "um"' in page


def test_columns_explain_themselves() -> None:
    html = render_markdown("# Title\n\n| generator | copy rate % |\n| --- | --- |\n| a <b> | 1 |\n\n## More\n\ntext\n")
    assert f'title="{explanation("copy rate %")}"' in html
    assert "a &lt;b&gt;" in html
    assert "<summary>More</summary>" in html
    assert "Euler number" in explanation("euler_6")
    for column in ("p", "copy rate %", "C2ST AUC [95 % CI]", "coverage (real)", "leaks %", "IoU"):
        assert explanation(column), column
    assert explanation("something else") == ""
    assert "0.4-0.6" in explanation("NFR100 0.4-0.6")


def test_the_command_writes_tables_and_page(results, tmp_path, monkeypatch) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    monkeypatch.setattr(sys, "argv", ["porebench"])
    with pytest.raises(SystemExit) as ended:
        main("report", "--results", str(copy), "--readme", str(tmp_path / "README.md"))
    assert ended.value.code == 0
    assert (copy / "report.html").is_file()
    assert (copy / "tiny" / "accuracy.md").is_file()
