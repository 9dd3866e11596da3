"""Whether the score foretells flow: rank correlations over generators."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from porebench.benchmarks.report.foretold import foretold_lines
from porebench.benchmarks.store.results import Run
from porebench.metrics.suites import CURRENT, SUITES

COMPONENTS = SUITES[CURRENT].components
MEANS = {"real": 2.0, "noise": 1e-3, "a": 2.1, "b": 1.7, "c": 3.0, "d": 0.5, "e": 0.0}


def _run(folder: Path, scores: dict[str, float], right: str = COMPONENTS[0], means: dict[str, float] = MEANS) -> Run:
    """Return a run in which one component orders generators as their flow, and all others the other way round."""
    lines = ["generator,samples,density,porosity,depth,height,width"]
    lines += [f"{name},x,{density},0.2,{mean},{mean},{mean}" for name, mean in means.items() for density in (0.3, 0.4)]
    (folder / "flow.csv").write_text("\n".join(lines))
    rows = [{"generator": name, "band": "all", "metric": "nfr100", "value": value} for name, value in scores.items()]
    for component in COMPONENTS:
        ordered = list("abcde") if component == right else list("edcba")
        rows += [
            {"generator": name, "band": "all", "metric": f"nfr100:{component}", "value": float(place)}
            for place, name in enumerate(ordered, 1)
        ]
    table = pd.DataFrame(rows).assign(ci_low=1.0, ci_high=9.0, n_generated=2, n_real=2)
    return Run(folder, table, {"run": {"suite": CURRENT}, "generators": {name: {} for name in scores}})


@pytest.mark.parametrize(
    ("order", "tau"), [("abcde", "1.00"), ("edcba", "-1.00"), ("bacde", "0.80")], ids=["same", "opposite", "one swap"]
)
def test_the_better_score_has_the_better_flow_or_not(tmp_path: Path, order: str, tau: str) -> None:
    scores = {name: float(place) for place, name in enumerate(order, 1)} | {"noise": 50.0}
    lines = foretold_lines([_run(tmp_path, scores)])
    (row,) = (line.strip("| ").split(" | ") for line in lines if line.startswith(f"| {tmp_path.name} |"))
    assert row[1:3] == ["permeability", "5"], "noise is a control"
    assert row[3].startswith(f"{tau} (p = ")
    assert row[4].endswith(" (1.00)")


def test_a_few_generators_say_nothing(tmp_path: Path) -> None:
    assert foretold_lines([_run(tmp_path, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})]) == []
    (tmp_path / "flow.csv").unlink()
    assert foretold_lines([Run(tmp_path, pd.DataFrame(), {"run": {}, "generators": {}})]) == []


def test_where_nothing_flows_through_real_volumes_there_is_nothing_to_foretell(tmp_path: Path) -> None:
    walled = _run(tmp_path, {name: float(place) for place, name in enumerate("abcde", 1)}, means={**MEANS, "real": 0.0})
    assert foretold_lines([walled]) == []
