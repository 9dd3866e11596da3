"""Rows that were handed in, scored again from their samples."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress

from porebench.data import Volumes
from porebench.data.collections import Collection
from porebench.metrics.suites import CURRENT

from ..store.submissions import Claim, mark_verified, read_submission
from .outside import Judgement, paired, score
from .tasks import Task, load_task

AGREE = 1e-9
"""Relative difference up to which two numbers are the same; machines differ by less."""
ENDS = ("value", "ci_low", "ci_high")


def verify(
    folder: Path, samples: Collection, task: str | Task | None = None, *, progress: Progress | None = None
) -> Path:
    """Score the samples of a submission again, note that it is verified, and return the path of the note.

    Args:
        folder: of the submission.
        samples: the volumes that it was scored from.
        task: that it answers; None for the data set that it names.
        progress: a started rich progress display, or None for silence.

    Raises:
        ValueError: if samples, test volumes or a number are others than those it claims; nothing is noted then.
    """
    found = read_submission(folder)
    claim = found.claim
    asked = task if isinstance(task, Task) else load_task(task or claim.task)
    chosen, _ = paired(samples, asked, claim.match)
    digests = {"test_digest": asked.test.digest(), "samples_digest": Volumes(chosen, asked.test.density).digest()}
    for what, digest in digests.items():
        if digest != getattr(claim, what):
            raise ValueError(f"{folder}: claims {what} {getattr(claim, what)}, here it is {digest}")
    if claim.suite != CURRENT:
        raise ValueError(f"{folder}: scored by suite {claim.suite}, the current one is {CURRENT}: score again")
    judged = score(
        samples, asked, name=claim.name, match=claim.match, trained_on=found.card.trained_on, progress=progress
    )
    _check_numbers(folder, claim, judged)
    return mark_verified(folder, time.strftime("%Y-%m-%d"))


def _check_numbers(folder: Path, claim: Claim, judged: Judgement) -> None:
    claimed = {(row.metric, row.band): row.model_dump() for row in claim.numbers}
    again: dict[tuple[str, str], Mapping[str, Any]] = {(row["metric"], row["band"]): row for row in judged.rows}
    if others := sorted(set(claimed) ^ set(again)):
        raise ValueError(f"{folder}: {' '.join(others[0])} is a number of only one of the two scores")
    for key, row in again.items():
        for end in ENDS:
            if not _same(claimed[key][end], row[end]):
                what = " ".join(key) + ("" if end == "value" else f" ({end})")
                raise ValueError(f"{folder}: claims {what} {claimed[key][end]}, here it is {row[end]}")
    if claim.verdict != judged.verdict:
        raise ValueError(f"{folder}: claims {claim.verdict!r}, here it is {judged.verdict!r}")


def _same(first: float | None, second: float | None) -> bool:
    """Return whether two numbers agree; NaN stands for None."""
    missing = [value is None or value != value for value in (first, second)]  # noqa: PLR0124 - NaN
    if first is None or second is None or any(missing):
        return all(missing)
    return bool(abs(first - second) <= AGREE * max(1.0, abs(second)))
