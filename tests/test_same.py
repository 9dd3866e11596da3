"""A change of code that gives the same numbers: shown to the last bit, and results are fresh again."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

from porebench.benchmarks.audit import facts, same
from porebench.benchmarks.store import digests
from porebench.generators import get

DESCRIBE, SOLVE = "metrics.descriptors:describe", "metrics.conduction:conduction"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return the facts of this tree."""
    file = tmp_path_factory.mktemp("facts") / "volumes.npz"
    np.savez(
        file, blobs=np.random.default_rng(0).random((40, 8, 9, 10)) < np.linspace(0.1, 0.6, 40)[:, None, None, None]
    )
    asked = {"roots": [[DESCRIBE], [SOLVE], ["metrics.nothing:gone"]], "functions": same.PROVED, "volumes": str(file)}
    return asked, facts.facts(asked)


def _renamed(found, name: str, digest: str):
    """Return facts of a tree where a definition and what depends on it had other digests."""
    earlier = copy.deepcopy(found)
    for roots, known in (*earlier["definitions"].items(), ("", earlier["inside"])):
        for each in known:
            if each[1] == name:
                each[0] = digest
                earlier["code"][roots] = f"earlier {roots}"
    return earlier


def test_facts_are_those_of_the_tree_that_python_finds(told, tmp_path) -> None:
    asked, found = told
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    environment = {**os.environ, "PYTHONPATH": str(digests.ROOT / "src")}
    command = [sys.executable, facts.__file__, str(tmp_path / "asked.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603
    assert json.loads(done.stdout) == found
    assert set(found["code"]) == {DESCRIBE, SOLVE}
    assert found["code"][DESCRIBE] == digests.code_digest(DESCRIBE)
    assert len(found["numbers"]) == len(same.PROVED)


def test_another_way_to_the_same_numbers_keeps_results_fresh(told) -> None:
    _, now = told
    before = _renamed(now, "_distances:squared_distance", "0" * 16)
    assert same.replacements(before, now) == {f"earlier {DESCRIBE}": now["code"][DESCRIBE]}
    assert same.replacements(now, now) == {}


def test_another_number_is_named(told) -> None:
    _, now = told
    before = copy.deepcopy(now)
    before["numbers"][f"{DESCRIBE} blobs"] = "0"
    with pytest.raises(ValueError, match=f"other numbers than before: {re.escape(DESCRIBE)} blobs"):
        same.replacements(before, now)


def test_code_that_nothing_was_shown_of_stays_stale(told) -> None:
    _, now = told
    before = _renamed(now, "conduction:conduction", "0" * 16)
    assert same.replacements(before, now) == {}


def test_code_that_is_mentioned_past_what_was_shown_stays_stale(told) -> None:
    _, now = told
    before = _renamed(now, "_diffusion:solve_diffusion", "0" * 16)  # a descriptor, and at other tolerances conduction
    assert same.replacements(before, now) == {f"earlier {DESCRIBE}": now["code"][DESCRIBE]}


@pytest.mark.usefixtures("own_cache")
def test_manifests_of_a_clone_are_made_fresh(tiny, own_copy, tmp_path, monkeypatch) -> None:
    results, code = own_copy("noise"), digests.code_digest(DESCRIBE)
    manifest = next(results.rglob("manifest.json"))
    earlier = manifest.read_text().replace(code, "1" * 16)
    assert "1" * 16 in earlier
    manifest.write_text(earlier)
    monkeypatch.setattr(same, "_tree", lambda _commit, _folder: nullcontext(digests.ROOT))
    monkeypatch.setattr(same, "replacements", lambda before, now: {"1" * 16: code} if before == now else {})
    assert same.make_fresh(results, "HEAD", [tiny]) == [manifest]
    assert manifest.read_text() == earlier.replace("1" * 16, code)
    with pytest.raises(ValueError, match="no data set of the runs"):
        same.make_fresh(tmp_path, "HEAD", [tiny])


@pytest.mark.parametrize("differs", [False, True])
@pytest.mark.usefixtures("own_cache")
def test_rows_of_a_generator_that_draws_the_same_are_made_fresh(tiny, own_copy, monkeypatch, differs) -> None:
    results, now = own_copy("noise", "pca"), digests.code_digest(get("pca"))
    path = next(results.rglob("manifest.json"))
    manifest = json.loads(path.read_text())
    record = manifest["generators"]["pca"]
    text = path.read_text()
    _as_before(record, "pca", now)
    path.write_text(json.dumps(manifest))
    asked = []

    def earlier(_tree, told, _file):
        asked.append(told)
        if "draws" not in told:
            found = facts.facts(told)
            return {**found, "generators": {**found["generators"], "pca": "earlier"}}
        assert list(told["draws"]) == ["pca tiny"]
        return {key: "other" if differs else digest for key, digest in facts.draws(told).items()}

    monkeypatch.setattr(same, "_tree", lambda _commit, _folder: nullcontext(digests.ROOT))
    monkeypatch.setattr(same, "_facts_of", earlier)
    assert same.make_fresh(results, "HEAD", [tiny]) == ([] if differs else [path])
    assert json.loads(path.read_text()) == (manifest if differs else json.loads(text))
    assert len(asked) == 2


def _as_before(record, name: str, digest: str) -> None:
    """Put the digests of earlier code of a generator into its record."""
    for cell in record["cells"].values():
        cell["inputs"] = {key: "earlier" if value == digest else value for key, value in cell["inputs"].items()}
        cell["key"] = digests.short_digest(cell["inputs"])
    fit = {key: value for key, value in record["cells"]["fit"]["inputs"].items() if key != "weights"}
    record["digest"] = digests.short_digest({"name": name, **fit})


def test_what_is_drawn_tells_another_fit_and_another_choice_of_voxels(tiny, fitted, tmp_path) -> None:
    weights, free = tmp_path / "weights", tmp_path / "free"
    fitted("cvae").save(weights)
    fitted("cvae").altered(exact_count=False).save(free)
    parts = {"train": tiny.train, "test": tiny.test[:3]}
    arrays = {key: part.voxels for key, part in parts.items()}
    arrays |= {f"{key} density": part.density for key, part in parts.items()}
    np.savez(tmp_path / "volumes.npz", **arrays)
    fit = {"name": "pca", "params": {}, "seed": 0, "weights": "", "learnt": "train", "watched": "", "test": "test"}
    asked = {
        "fit": fit,
        "again": fit,
        "seed": {**fit, "seed": 1},
        "loaded": {**fit, "name": "cvae", "weights": str(weights)},
        "free": {**fit, "name": "cvae", "weights": str(free)},
    }
    found = facts.draws({"draws": asked, "volumes": str(tmp_path / "volumes.npz")})
    assert found["fit"] == found["again"]
    assert len(set(found.values())) == 4


@pytest.mark.skipif(not (digests.ROOT / ".git").exists(), reason="needs a git clone")
@pytest.mark.usefixtures("own_cache")
def test_an_unknown_commit_is_one_sentence(tiny, own_copy) -> None:
    with pytest.raises(ValueError, match="no commit nothing in a git clone"):
        same.make_fresh(own_copy("noise"), "nothing", [tiny])
