import json
import shutil

import numpy as np
import pandas as pd
import pytest

from porebench import data, generators
from porebench.benchmarks.audit import status
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.score import Judge
from porebench.benchmarks.report.documents import outdated_reports, write_reports
from porebench.benchmarks.studies import variants
from porebench.benchmarks.studies.ablation import ablate, count_rows
from porebench.benchmarks.studies.variants import Variant, build, chosen_variants, draw, drawing_inputs, judged_on

SMALL = {"width": 8, "encoder_blocks": 1, "decoder_blocks": 1}
OPTIONS = Options(workers=1)
TWO = (
    Variant("full", "as it is", params=SMALL),
    Variant("no-sparse-weight", "- weight", params={**SMALL, "sparse_weight": 0.0}),
)


@pytest.fixture
def few(tiny):
    return data.Dataset(tiny.train[:16], tiny.validation, tiny.test, "tiny", "factor")


def test_every_declared_variant_can_be_built_and_says_what_differs() -> None:
    for generator, rows in variants.VARIANTS.items():
        assert len({row.name for row in rows}) == len(rows)
        assert rows[0].params == {}, "the unchanged generator comes first"
        assert rows[0].generator == generator
        for row in rows:
            built = build(row, 24)
            passes = sum(built.params.get(name, 0) for name in variants.PASSES)
            assert passes == pytest.approx(24, abs=1)
            assert row.params.items() <= build(row).params.items()
            assert row.change


def test_published_losses_are_compared_on_both_latents() -> None:
    rows = {row.name: build(row) for row in variants.VARIANTS["cvae"]}
    for loss, terms in variants.PUBLISHED.items():
        for latent, kind in (("lattice", "cvae"), ("global", "cvae-seed")):
            built = rows[f"{latent}-{loss}"]
            assert isinstance(built, generators.get(kind))
            assert terms.items() <= built.params.items()
            assert built.beta == 0


def test_schedules_shrink_with_the_budget() -> None:
    own = generators.get("cvae")()
    total = sum(own.params.get(name, 0) for name in variants.PASSES)
    built = build(variants.VARIANTS["cvae"][0], total // 4)
    assert built.ramp_epochs == round(own.ramp_epochs / 4)
    assert built.epochs == pytest.approx(own.epochs / 4, abs=1)
    assert build(variants.VARIANTS["cvae"][0], 1).epochs == 1


def test_a_variant_that_changes_nothing_is_not_trained_twice(monkeypatch) -> None:
    beta = generators.get("cvae")().beta
    rows = (*TWO, Variant("same", "the default", params={**SMALL, "beta": beta}))
    monkeypatch.setitem(variants.VARIANTS, "cvae", rows)
    assert [row.name for row in chosen_variants("cvae")] == ["full", "no-sparse-weight"]
    assert [row.name for row in chosen_variants("cvae", "same, full")] == ["full", "same"]


def test_variants_are_not_judged_on_the_test_part(few) -> None:
    judged = judged_on(few)
    assert judged.test.digest() == few.validation.digest()
    spheres = data.load("spheres")
    judged = judged_on(spheres).test
    assert len(judged) == len(spheres.validation) + variants.FRESH
    known = {volume.tobytes() for volume in np.packbits(spheres.test.voxels.reshape(len(spheres.test), -1), axis=1)}
    dense = judged[judged.pore_voxels > 100]
    assert not known & {volume.tobytes() for volume in np.packbits(dense.voxels.reshape(len(dense), -1), axis=1)}


def test_an_ablation_is_written_and_goes_on_where_it_was_interrupted(few, tmp_path, monkeypatch) -> None:
    fits = []
    real_fit = generators.get("cvae")._fit
    monkeypatch.setattr(generators.get("cvae"), "_fit", lambda self, *a: (fits.append(self), real_fit(self, *a)))
    folder = ablate(TWO[:1], few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    assert len(fits) == 1
    assert ablate(TWO, few, tmp_path, OPTIONS, epochs=1, seeds=[0, 1], command="porebench ablate cvae") == folder
    assert len(fits) == 4
    table = pd.read_csv(folder / "ablation.csv")
    assert set(zip(table.variant, table.seed, strict=True)) == {(row.name, seed) for row in TWO for seed in (0, 1)}
    headline = table[table.band == "all"]
    assert {"nfr100", "iou", "count_bias", "copy_rate"} <= set(headline.metric)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["run"]["epochs"] == 1
    assert manifest["run"]["judged"] == few.validation.digest()
    record = manifest["records"]["no-sparse-weight-seed-1"]
    assert record["params"]["sparse_weight"] == record["facts"]["params"]["sparse_weight"] == 0
    facts = {"name", "change", "params", "seed", "fit_seconds", "fit_machine", "commit", "versions", "peak_memory_mb"}
    assert set(record["facts"]) == {*facts, "command"}
    assert record["inputs"]["judged data"] == few.validation.digest()[:16]
    before = (folder / "ablation.csv").read_bytes()
    ablate(TWO[:1], few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    assert len(fits) == 4, "all was at hand"
    assert (folder / "ablation.csv").read_bytes() == before, "rows of other variants stay"

    text = (folder / "ablation.md").read_text()
    iou = headline[(headline.variant == "full") & (headline.metric == "iou")].value
    assert f"{iou.mean():.2f} ± {iou.std(ddof=1):.2f}" in text
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table ablation-tiny -->\n<!-- end -->\n")
    (folder / "ablation.md").write_text("old")
    write_reports(tmp_path, readme)
    assert (folder / "ablation.md").read_text().partition("Made")[0] == text.partition("Made")[0]
    assert "| no-sparse-weight |" in readme.read_text()
    assert outdated_reports(tmp_path, readme) == []


def test_another_budget_replaces_the_table(few, tmp_path, caplog) -> None:
    ablate(TWO[:1], few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    folder = ablate(TWO[1:], few, tmp_path, OPTIONS, epochs=2, seeds=[0])
    assert set(pd.read_csv(folder / "ablation.csv").variant) == {"no-sparse-weight"}
    assert "is replaced" in caplog.text


def _rewrite(path, change) -> None:
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_variants_of_the_global_latent_join_a_table_without_training_others_again(few, tmp_path, monkeypatch) -> None:
    folder = ablate(TWO[:1], few, tmp_path, OPTIONS, epochs=1, seeds=[0], command="porebench ablate one")
    before = pd.read_csv(folder / "ablation.csv")
    shutil.rmtree(folder / "cells")  # not committed
    shutil.rmtree(folder / "samples")

    def older(manifest) -> None:
        manifest["run"]["metric_versions"] |= {"copy_rate": 1, "gone": 1}

    _rewrite(folder / "manifest.json", older)
    monkeypatch.setattr(generators.get("cvae"), "_fit", lambda *_: pytest.fail("trained again"))
    chosen = chosen_variants("cvae", "global-bce,global-focal,global-focal-edge-cluster")
    ablate(chosen, few, tmp_path, OPTIONS, epochs=1, seeds=[0], command="porebench ablate two")
    table = pd.read_csv(folder / "ablation.csv")
    assert list(dict.fromkeys(table.variant)) == ["full", *(f"global-{loss}" for loss in variants.PUBLISHED)]
    kept = before[before.metric != "copy_rate"].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[table.variant == "full"].reset_index(drop=True), kept)
    assert set(table.variant[table.metric == "copy_rate"]) == {variant.name for variant in chosen}
    assert set(table[table.metric == "nfr100"].variant) == set(table.variant)
    assert "by `porebench ablate one` and `porebench ablate two`." in (folder / "ablation.md").read_text()


def test_a_score_of_another_version_does_not_stay_beside_new_ones(few, tmp_path, caplog) -> None:
    folder = ablate(TWO[:1], few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    _rewrite(folder / "manifest.json", lambda manifest: manifest["run"]["metric_versions"].update(mean_chord=0))
    ablate(TWO[1:], few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    assert set(pd.read_csv(folder / "ablation.csv").variant) == {"no-sparse-weight"}
    assert "is replaced" in caplog.text


def test_status_says_which_trainings_still_hold(few, tmp_path, monkeypatch) -> None:
    def found(dataset=few):
        return {state.generator: str(state) for state in status.status(tmp_path, [dataset])}

    ablate(TWO, few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    assert found() == {"full-seed-0": "fresh", "no-sparse-weight-seed-0": "fresh"}
    smaller = data.Dataset(few.train[:8], few.validation, few.test, "tiny", "factor")
    assert found(smaller)["full-seed-0"] == "stale: training data, real data"
    with monkeypatch.context() as patch:
        patch.setattr(status, "code_digest", lambda *_: "other")
        assert found()["full-seed-0"] == "stale: code"


def test_draws_of_another_machine_are_scored_without_training(few, tmp_path, monkeypatch) -> None:
    judged = judged_on(few)
    draw(TWO[0], 0, judged, tmp_path / "ablation" / "tiny", epochs=1, options=OPTIONS)
    monkeypatch.setattr(generators.get("cvae"), "_fit", lambda *_: pytest.fail("trained again"))
    folder = ablate(TWO[:1], few, tmp_path, OPTIONS, epochs=1, seeds=[0])
    assert (folder / "ablation.md").is_file()
    assert drawing_inputs(build(TWO[0], 1), 0, judged) != drawing_inputs(build(TWO[0], 2), 0, judged)


def test_the_bias_of_free_counts_is_that_of_each_band(few, tmp_path) -> None:
    judge = Judge(judged_on(few), Options(workers=1), tmp_path)
    factor = np.where(judge.test.density < 0.6, 1.5, 0.9)
    rows = {row["band"]: row["value"] for row in count_rows(factor * judge.test.pore_voxels, judge)}
    assert rows["0.4-0.6"] == pytest.approx(50)
    assert rows["0.8-1.0"] == pytest.approx(-10)
    assert rows["all"] == pytest.approx((50 + 10 + 10) / 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pca"], "no variants of 'pca' to compare; there are of cvae"),
        (["cvae", "--variants", "full,typo"], "no variant of cvae is called 'typo'"),
    ],
)
def test_an_unknown_variant_is_one_sentence(arguments, words, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["porebench", "ablate", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
