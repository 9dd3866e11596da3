"""Rows handed in for generators that draw elsewhere: their cards, their numbers, and which were scored again here.

A submission is a folder ``submissions/<suite>/<name>/`` in the results, with ``card.yml`` by its authors and the
``score.json`` of ``porebench score``. Its numbers are claimed. ``verified.csv`` above the suites, which ``porebench
submissions verify`` alone writes, names those that were scored again from the samples; a later change of either file
makes them claimed again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pandas as pd

from porebench.metrics.suites import CURRENT, SUITES

from .files import file_digest
from .results import ALL, COLUMNS, SUBMISSIONS, read_manifest
from .tables import replace_rows

try:
    import yaml
    from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
except ImportError as error:
    raise ImportError(f"cards need {error.name}: pip install 'porebench[submissions]'", name=error.name) from error

CARD, SCORE, VERIFIED = "card.yml", "score.json", "verified.csv"
FILES = {CARD, SCORE, "row.md", "row.tex", "score.png"}
"""Files of a submission: its card, and what ``porebench score`` writes."""
KEY = ("suite", "name")
MAX_BYTES = 2**20
"""Size of a card or a score above which it is not read."""

Model = TypeVar("Model", bound=BaseModel)
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\n|<>`\[\]]{1,300}$")]
Address = Annotated[str, StringConstraints(pattern=r"^https://[^\s|<>`()\[\]]{1,200}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Card(_Strict):
    """What the authors of a submission say of their generator.

    Attributes:
        name: heading of the row, and name of the folder.
        version: of the generator.
        authors: their names.
        paper: address of the paper; None where there is none.
        code: address of the code; None where it is not public.
        code_licence: of the code, as an SPDX identifier where it has one.
        weights_licence: of the weights; "none" where there are no weights.
        training_data: volumes that it learnt from.
        parameters: number of learnt numbers.
        hardware: that it was trained on.
        hours: of training on that hardware.
        milliseconds: to draw one volume.
        drawn_on: hardware that this time was taken on.
        conditional_on: what a draw can be asked for, such as "density"; "nothing" for an unconditional generator.
        post_processing: what is done to a draw, such as a threshold; "none" where nothing is.
        trained_on: descriptors of the suite that training made agree with real volumes, or close relatives of them.
    """

    name: Name
    version: Line
    authors: list[Line] = Field(min_length=1)
    paper: Address | None = None
    code: Address | None = None
    code_licence: Line
    weights_licence: Line
    training_data: Line
    parameters: int = Field(ge=0)
    hardware: Line
    hours: float = Field(ge=0)
    milliseconds: float = Field(gt=0)
    drawn_on: Line
    conditional_on: Line
    post_processing: Line
    trained_on: list[str] = Field(default_factory=list)

    @field_validator("trained_on")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if unknown := sorted(set(names) - set(SUITES[CURRENT].components)):
            raise ValueError(
                f"no descriptor is called {unknown[0]!r}; there are {', '.join(SUITES[CURRENT].components)}"
            )
        return names


class Number(_Strict):
    """A number of a row, as in ``accuracy.csv``."""

    band: str
    metric: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n_generated: float | None = None
    n_real: float | None = None


class Claim(_Strict):
    """Content of ``score.json`` that a submission rests on."""

    model_config = ConfigDict(extra="ignore")

    name: Line
    task: Name
    suite: Name
    match: Literal["order", "name", "porosity"]
    test_digest: str
    samples_digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    verdict: Line
    numbers: list[Number]

    def row(self, metric: str) -> Number | None:
        """Return a number over the headline bands with its interval; None where there is none."""
        return next((row for row in self.numbers if (row.metric, row.band) == (metric, ALL)), None)

    def number(self, metric: str) -> float:
        """Return a number over the headline bands; NaN where there is none."""
        row = self.row(metric)
        return math.nan if row is None or row.value is None else row.value


@dataclass(frozen=True)
class Submission:
    """A row that was handed in.

    Attributes:
        folder: where it lies.
        card: what its authors say of the generator.
        claim: its numbers.
        status: "verified" where the samples were scored again here and its files are still the same, else "claimed".
    """

    folder: Path
    card: Card
    claim: Claim
    status: Literal["claimed", "verified"]


def read_card(path: Path) -> Card:
    """Return the card in a YAML file, which runs no code.

    Raises:
        ValueError: if the file is no card; names the first field that is wrong.
    """
    text = _text(path)
    if "&" in text and "*" in text:  # aliases of aliases unfold without bound
        try:
            aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
        except yaml.YAMLError:
            aliases = False
        if aliases:
            raise ValueError(f"{path}: expected a card without YAML aliases: write each value out")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(
            f"{path}: expected YAML, got text that cannot be read as such ({_first_line(error)})"
        ) from error
    return _checked(Card, content, path)


def read_claim(path: Path) -> Claim:
    """Return the numbers in a ``score.json``.

    Raises:
        ValueError: if the file is none; names the first field that is wrong.
    """
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected the JSON of porebench score ({_first_line(error)}): score again") from error
    if isinstance(content, Mapping) and isinstance(content.get("numbers"), list):
        kept = [*COLUMNS[1:]]
        rows = [{key: _finite(row.get(key)) for key in kept} for row in content["numbers"] if isinstance(row, Mapping)]
        content = {**content, "numbers": rows}
    return _checked(Claim, content, path)


def read_submission(folder: Path) -> Submission:
    """Return the submission in a folder.

    Raises:
        ValueError: if card or numbers are missing, wrong or about different things.
    """
    card, claim = read_card(folder / CARD), read_claim(folder / SCORE)
    suite = folder.parent.name
    if not claim.name == card.name == folder.name:
        raise ValueError(
            f"{folder}: expected one name of folder, card and score, got {folder.name}, {card.name} and {claim.name}"
        )
    if claim.suite != suite or suite not in SUITES:
        raise ValueError(f"{folder}: expected scores of a suite in a folder of its name, got {claim.suite} in {suite}")
    needed = _needed(suite) - {row.metric for row in claim.numbers if row.band == ALL and row.value is not None}
    if needed:
        raise ValueError(f"{folder / SCORE}: expected every number of suite {suite}, {sorted(needed)[0]} is missing")
    if len({(row.metric, row.band) for row in claim.numbers}) < len(claim.numbers):
        raise ValueError(f"{folder / SCORE}: states a number twice: score again")
    return Submission(folder, card, claim, "verified" if _stamp(folder) in _verified(folder) else "claimed")


def submission_folders(results: Path) -> list[Path]:
    """Return the folders of submissions in a results folder, suite by suite."""
    return sorted(folder for folder in (results / SUBMISSIONS).glob("*/*") if folder.is_dir())


def read_submissions(results: Path, task: str) -> list[Submission]:
    """Return the submissions to a task, best score first; errors as for `read_submission`."""
    found = [read_submission(folder) for folder in submission_folders(results)]
    return sorted((each for each in found if each.claim.task == task), key=lambda each: each.claim.number("nfr100"))


def check_submission(folder: Path, results: Path, *, strict: bool = False, new: bool = False) -> Submission:
    """Return the submission in a folder, after a look at all that can be known without its samples.

    Args:
        folder: of the submission.
        results: results folder with the table of its task.
        strict: also refuse other files than `FILES`, and files that were changed since they were verified.
        new: whether it is about to be handed in, so that an earlier suite than the current one is refused.

    Raises:
        ValueError: if something is wrong; says what.
    """
    found = read_submission(folder)
    task = found.claim.task
    if new and found.claim.suite != CURRENT:
        raise ValueError(f"{folder}: scored by suite {found.claim.suite}, the current one is {CURRENT}: score again")
    if not (results / task / "manifest.json").is_file():
        raise ValueError(f"{folder}: there is no table of {task} in {results}, so nothing says what its test part is")
    expected = str(read_manifest(results / task)["run"].get("test"))
    if found.claim.suite == CURRENT and found.claim.test_digest != expected:
        raise ValueError(
            f"{folder}: scored against test volumes {found.claim.test_digest[:16]}, the table of {task} has "
            f"{expected[:16]}: score all conditions of porebench task export {task}"
        )
    if strict:
        others = sorted(path.name for path in folder.iterdir() if path.name not in FILES or path.is_symlink())
        if others:
            raise ValueError(f"{folder}: expected nothing but {', '.join(sorted(FILES))}, found {others[0]}: remove it")
        if found.status == "claimed" and _stamp(folder)[:2] in {stamp[:2] for stamp in _verified(folder)}:
            raise ValueError(
                f"{folder}: {CARD} or {SCORE} has changed since it was verified: restore them, or verify it again"
            )
    return found


def mark_verified(folder: Path, date: str) -> Path:
    """Note in ``verified.csv`` that a submission's samples were scored again, and return the path of that file."""
    path = folder.parent.parent / VERIFIED
    row = dict(zip((*KEY, "card", "score"), _stamp(folder), strict=True)) | {"date": date}
    replace_rows(path, pd.DataFrame([row]), KEY, order=lambda table: table.sort_values(list(KEY)))
    return path


def _needed(suite: str) -> set[str]:
    families = SUITES[suite].families
    parts = {f"family:{name}" for name in families} | {f"nfr100:{name}" for name in SUITES[suite].components}
    return {"nfr100", "density_bias", "copy_rate", *parts}


def _stamp(folder: Path) -> tuple[str, str, str, str]:
    """Return suite, name and the digests of the two files of a submission."""
    return folder.parent.name, folder.name, file_digest(folder / CARD), file_digest(folder / SCORE)


def _verified(folder: Path) -> Collection[tuple[str, ...]]:
    """Return the stamps of all verified submissions beside one."""
    path = folder.parent.parent / VERIFIED
    if not path.is_file():
        return set()
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)[[*KEY, "card", "score"]]
    except (ValueError, LookupError) as error:
        raise ValueError(f"{path} is damaged ({_first_line(error)}): restore it, or verify the rows again") from error
    return set(table.itertuples(index=False, name=None))


def _text(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"{path.parent}: expected {path.name}, there is none")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: has {path.stat().st_size} bytes, more than the {MAX_BYTES} that are read")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8: save it so") from error


def _finite(value: Any) -> Any:
    """Return None for a NaN, which ``porebench score`` writes where there is no number."""
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def _checked(model: type[Model], content: Any, path: Path) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise ValueError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:120]
