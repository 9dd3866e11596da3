"""The table that says which generator to use, from rows that are made up."""

from pathlib import Path

import pandas as pd

from porebench.benchmarks.report.choice import choice_lines
from porebench.benchmarks.store.results import Run

ROWS = {  # score, seconds to fit, milliseconds to draw, p-value of copied patches
    "reference": (1.0, 0.0, 0.1, 1.0),
    "quilting": (1.1, 0.0, 90.0, 1e-9),
    "cvae": (2.0, 900.0, 3.0, 1.0),
    "fibres": (2.9, 10.0, 1.0, 1.0),
    "pca": (9.0, 1.0, 0.2, 1.0),
}


def _run(rows: dict[str, tuple[float, float, float, float]]) -> Run:
    numbers = [
        {"generator": name, "band": "all", "metric": metric, "value": value, "ci_low": value, "ci_high": value}
        for name, (score, _, _, p) in rows.items()
        for metric, value in (("nfr100", score), ("p:patches", p), ("p:copies", 1.0))
    ]
    records = {
        name: {"status": "scored", "fit_seconds": fit, "sample_milliseconds": draw}
        for name, (_, fit, draw, _) in rows.items()
    }
    return Run(Path("results/rock"), pd.DataFrame(numbers), {"generators": records})


def test_controls_and_generators_that_copy_are_not_recommended() -> None:
    row = choice_lines([_run(ROWS)])[-1]
    assert row.startswith("| rock | `cvae` (2.00, 3 ms) |")
    assert "quilting" not in row
    assert "reference" not in row


def test_what_trains_for_long_gives_way_where_a_fit_must_be_quick_and_what_is_nearly_as_good_where_draws_must() -> None:
    cells = [cell.strip() for cell in choice_lines([_run(ROWS)])[-1].split("|")]
    assert cells[3:6] == ["`fibres` (2.90, 1 ms)", "`fibres` (2.90, 1 ms)", "`pca` (9.00, 0.2 ms)"]


def test_a_data_set_without_rivals_has_no_line() -> None:
    assert choice_lines([_run({"reference": ROWS["reference"]})]) == []
