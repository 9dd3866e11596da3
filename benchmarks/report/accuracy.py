"""Accuracy of one run as a document and as a table for a terminal."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import pandas as pd

from porebench.generators import CONTROLS
from porebench.generators.controls import Twin
from porebench.metrics.estimate import Estimate
from porebench.metrics.ranking import repeated
from porebench.metrics.suites import SUITES

from ..store.replicates import all_replicates
from ..store.results import ALL, SUBMISSIONS, Order, Run, Score
from .lengths import voxel_of_run, voxel_sentence
from .text import ABSENT, column_lines, one_line, short, table_lines, table_of

if TYPE_CHECKING:
    from ..store.submissions import Claim, Submission

READING = (
    "NFR100 (noise-floor ratio at 100 volumes): 1 = cannot be told from real volumes; 5 = the gap is five times what "
    "two honest batches of 100 real volumes show. Over the headline bands, and over families of descriptors with "
    "equal weights, each of which has a column. The 95 % interval resamples the test densities, and holds for another "
    "fit where a row stands on several. The verdict rests on tests of structure, of all descriptors together, of a "
    "classifier, of copies and of the amount of pore, at 5 % together."
)
TESTS = {
    "structure": "the largest effect of a family, against random swaps of drawn and real volumes",
    "joint": "all descriptors together, against the same swaps",
    "classifier": "the better of a linear and a radial kernel classifier, against the same swaps",
    "copies": "volumes that take half of their pores from one training volume",
    "patches": "patches of 10³ voxels that occur in training volumes, against held-out real volumes",
    "amount": "pore voxels against those of the real volumes of the same densities",
}
"""What each test of the verdict looks at."""
PHYSICAL = {
    "pore_radius": "pore radius",
    "specific_surface": "specific surface",
    "euler_number": "Euler number",
    "n_components": "components",
}
SIZES = (
    "Wasserstein-1 distance, in voxels, between the radii of the pores detected in drawn volumes and those detected in "
    "real ones, or the true radii of the simulator (the reference shows what the detector can reach); and the number "
    "of pores with a radius of at most 2 voxels, drawn over real. 95 % intervals resample the test densities."
)
RELATIVES = (
    "A star marks descriptors that the generator was trained on, or close relatives of them: a good score there says "
    "less. The score without them stands in the first column."
)
SUBMITTED = (
    "Rows marked claimed or verified were handed in. Verified: the maintainers scored the draws again, with the same "
    "numbers. Such rows hold no rank, and their times are as stated by their authors."
)
EARLIER = "Scored by a list of descriptors that is no longer current, so not comparable with the table above."
FEW = 50
"""Test volumes in a band, below which a table says so."""
LONGEST, WORDS_WIDE = 15, 27
"""Characters of a generator's name, and of its verdict, that the compact table shows."""
GIVEN_AWAY, CANNOT = "gives itself away by: ", "cannot be told from real"
RANKS = (
    "Generators share a rank (`=`) if a paired bootstrap over the test densities cannot tell them from the best of "
    "their group (95 %). Controls hold no rank. Beside it, the best and the worst place in 95 % of runs with other "
    "densities, and other fits where a row stands on several (Kendall τ above: how alike the rankings of two such runs "
    "are); and the best and the worst rank when each descriptor, each family or each headline band is left out in turn."
)


def accuracy_markdown(run: Run) -> str:
    """Return the accuracy document of a run."""
    about = run.manifest["run"]
    scored, components, voxel = run.generators, SUITES[run.suite].components, voxel_of_run(run)
    lines = [
        f"# Accuracy on {about['dataset']}",
        "",
        f"{about['n_test']} test volumes, one realisation for each test density, seed {about['seed']}"
        + (" (quick run)" if about["quick"] else "")
        + f", suite {run.suite}.{remarks(run)} Made {run.newest['date']} by `{run.command}`.",
        "",
        *([f"In the image, {run.manifest['phase']}.", ""] if run.manifest.get("phase") else []),
        *([f"{voxel_sentence(voxel)} Lengths are in voxels but where a unit is named.", ""] if voxel else []),
        READING,
        "",
        *summary_table(run),
        "",
        *_rank_section(run),
        "## Score by density band, and tests of the verdict",
        "",
        *_bands_and_tests(run),
        "",
        "## Companion columns",
        "",
        *_companions(run),
        "",
        "## Score by descriptor",
        "",
        RELATIVES,
        "",
        *table_lines(
            ["generator", "NFR100 without *", *components],
            [
                [
                    name,
                    _interval(run, name, "nfr100_unrelated"),
                    *(
                        _text(run, name, f"nfr100:{each}", "{:.1f}") + "*" * (each in _trained_on(run, name))
                        for each in components
                    ),
                ]
                for name in scored
            ],
        ),
    ]
    reconstructing = [name for name in scored if name in run.scores("iou")]
    if reconstructing:
        lines += ["", "## Reconstruction of test volumes", "", *_reconstruction(run, reconstructing)]
    sized = [name for name in scored if name in run.scores("drawn_radius_w1")]
    if sized:
        lines += ["", "## Sizes of drawn pores", "", SIZES, "", *_sizes(run, sized)]
    failed = {name: record for name, record in run.records.items() if record["status"] == "failed"}
    if failed:
        rows = [[name, str(r["phase"]), one_line(str(r["reason"]))] for name, r in failed.items()]
        lines += ["", "## Failed", "", *table_lines(["generator", "phase", "reason"], rows)]
    if handed_in := submissions(run):
        lines += _cards(handed_in, run.suite)
    return "\n".join(lines) + "\n"


def summary_table(run: Run) -> list[str]:
    """Return the main table, best generator first, and the benchmark's own error below it."""
    families = SUITES[run.suite].families
    header = ["rank", "generator", "NFR100 [95 % CI]", "verdict", *families]
    header += ["density bias %", "copies %", "copied patches %", "IoU", "fits", "fit s", "ms a volume"]
    rows = [
        (
            _score(run, name),
            [
                (run.order and run.order.rank(name)) or ABSENT,
                name,
                _interval(run, name, "nfr100"),
                verdict_text(run, name),
                *(_text(run, name, f"family:{family}", "{:.1f}") for family in families),
                _text(run, name, "density_bias", "{:+.1f}"),
                _percent(run, name, "copy_rate"),
                _percent(run, name, "patch_rate"),
                _text(run, name, "iou"),
                str(run.records[name].get("fits", 1)),
                f"{run.records[name]['fit_seconds']:.1f}",
                f"{run.records[name]['sample_milliseconds']:.2f}",
            ],
        )
        for name in run.generators
    ]
    handed_in = [each for each in submissions(run) if each.claim.suite == run.suite]
    rows += [(each.claim.number("nfr100"), _handed_in(each, [*families])) for each in handed_in]
    lines = table_lines(header, [row for _, row in sorted(rows, key=lambda row: row[0])])
    return lines + own_error(run.order) + (["", SUBMITTED] if handed_in else [])


def submissions(run: Run) -> list[Submission]:
    """Return the rows that were handed in for the data set of a run, of any suite."""
    if not (run.folder.parent / SUBMISSIONS).is_dir():
        return []
    from ..store.submissions import read_submissions  # noqa: PLC0415 - needs packages that other reports do not

    return read_submissions(run.folder.parent, run.name)


def _handed_in(found: Submission, families: list[str]) -> list[str]:
    """Return the cells of a row that was handed in, without rank, reconstruction and fits."""
    card, claim = found.card, found.claim
    patches = claim.number("patch_rate")
    return [
        ABSENT,
        f"{card.name} {card.version} ({found.status})",
        _claimed_interval(claim),
        one_line(claim.verdict),
        *(f"{claim.number(f'family:{family}'):.1f}" for family in families),
        f"{claim.number('density_bias'):+.1f}",
        f"{100 * claim.number('copy_rate'):.1f}",
        ABSENT if math.isnan(patches) else f"{100 * patches:.1f}",
        ABSENT,
        ABSENT,
        f"{3600 * card.hours:.1f} (as stated)",
        f"{card.milliseconds:.2f} (as stated)",
    ]


def _claimed_interval(claim: Claim) -> str:
    row = claim.row("nfr100")
    low, high = (None, None) if row is None else (row.ci_low, row.ci_high)
    ends = "" if low is None or high is None else f" [{short(low)}, {short(high)}]"
    return f"{short(claim.number('nfr100'))}{ends}"


def _cards(found: list[Submission], suite: str) -> list[str]:
    """Return what cards say of rows that were handed in, and the rows of other suites, apart."""
    now = [each for each in found if each.claim.suite == suite]
    before = [each for each in found if each.claim.suite != suite]
    lines = [
        "## Submissions",
        "",
        SUBMITTED,
        "",
        *table_of(
            now,
            {
                "generator": lambda it: f"{it.card.name} {it.card.version}",
                "authors": lambda it: ", ".join(it.card.authors),
                "paper, code": lambda it: ", ".join(filter(None, (it.card.paper, it.card.code))) or ABSENT,
                "licences of code, weights": lambda it: f"{it.card.code_licence}, {it.card.weights_licence}",
                "trained on": lambda it: it.card.training_data,
                "parameters": lambda it: str(it.card.parameters),
                "training": lambda it: f"{it.card.hours:g} h on {it.card.hardware}",
                "drawn on": lambda it: it.card.drawn_on,
                "asked for": lambda it: it.card.conditional_on,
                "post-processing": lambda it: it.card.post_processing,
                "NFR100 without *": lambda it: _number(it.claim, "nfr100_unrelated"),
                "trained on (*)": lambda it: ", ".join(it.card.trained_on) or "none",
            },
        ),
    ]
    if before:
        lines += ["", "## Submissions to earlier suites", "", EARLIER, ""]
        lines += table_of(
            before,
            {
                "suite": lambda it: it.claim.suite,
                "generator": lambda it: f"{it.card.name} {it.card.version} ({it.status})",
                "NFR100 [95 % CI]": lambda it: _claimed_interval(it.claim),
                "verdict": lambda it: one_line(it.claim.verdict),
            },
        )
    return ["", *lines]


def _number(claim: Claim, metric: str) -> str:
    value = claim.number(metric)
    return ABSENT if math.isnan(value) else short(value)


def _score(run: Run, name: str) -> float:
    found = run.scores("nfr100").get(name)
    return math.inf if found is None else found.value


def compact_table(run: Run) -> list[str]:
    """Return the columns of the main table that fit into 100 characters of a terminal, best generator first."""
    rows = [
        [
            (run.order and run.order.rank(name)) or ABSENT,
            _clipped(name, LONGEST),
            _interval(run, name, "nfr100"),
            _clipped(verdict_text(run, name).removeprefix(GIVEN_AWAY).replace(CANNOT, "nothing"), WORDS_WIDE),
            _percent(run, name, "copy_rate"),
            f"{run.records[name]['fit_seconds']:.1f}",
            f"{run.records[name]['sample_milliseconds']:.2f}",
        ]
        for name in run.generators
    ]
    header = ["rank", "generator", "NFR100 [95 % CI]", "gives itself away by", "copies %", "fit s", "ms each"]
    return column_lines(header, rows)


def beside_published(run: Run, published: Run) -> list[str]:
    """Return the NFR100 of each generator beside the published one, and whether it lies within its interval."""
    rows = []
    theirs = published.scores("nfr100")
    for name in run.generators:
        own = run.scores("nfr100").get(name)
        if own is not None and name in theirs:
            score = theirs[name]
            inside = score.low <= own.value <= score.high
            intervals = [_interval(each, name, "nfr100") for each in (run, published)]
            rows.append([_clipped(name, LONGEST), *intervals, "yes" if inside else "no"])
    if not rows:
        return ["none of these generators has a published score on this data set"]
    lines = column_lines(["generator", "NFR100 [95 % CI]", "published [95 % CI]", "within"], rows)
    settings = ("n_test", "quick", "suite")
    before, now = ([each.manifest["run"].get(name) for name in settings] for each in (published, run))
    if before != now:
        wanted = ", ".join(f"{name} {value}" for name, value in zip(settings, before, strict=True))
        lines.append(f"the published scores have other settings ({wanted}), so the two may differ")
    return lines


def verdict_text(run: Run, name: str) -> str:
    """Return the verdict on a generator in words."""
    return str(run.records[name].get("verdict", ABSENT))


def _trained_on(run: Run, name: str) -> list[str]:
    return list(run.records[name].get("trained_on", []))


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def own_error(order: Order | None) -> list[str]:
    """Return how far apart the table puts a generator and its twin, as a paragraph; nothing where one has no score."""
    found = None if order is None else order.difference(Twin.name, Twin.original)
    if found is None:
        return []
    value, low, high, tied = found
    text = (
        f"The benchmark's own error: `{Twin.name}` is `{Twin.original}` under another name and with other seeds; their "
        f"NFR100 differ by {value:+.2f} [{low:+.2f}, {high:+.2f}], and they are {'tied' if tied else 'not tied'}."
    )
    return ["", text]


def remarks(run: Run) -> str:
    """Return sentences on what to bear in mind of a run: how sure ranks are, few volumes, networks of another size."""
    alike, _ = _repeated(run)
    sure = ""
    if alike is not None:
        sure = f" Kendall τ of the rankings of two other runs: {alike.value:.2f} [{alike.low:.2f}, {alike.high:.2f}]."
    return sure + _small_bands(run) + _other_sizes(run)


@functools.lru_cache(maxsize=1)  # asked for in several places of one document
def _repeated(run: Run) -> tuple[Estimate | None, dict[str, tuple[int, int]]]:
    """Return how alike rankings of other runs are, and the places that each generator holds in them."""
    every = all_replicates(run.folder, run.manifest.get("run", {}), run.records)
    entries = {name: replicates for name, replicates in every.items() if name not in CONTROLS}
    return repeated(entries) if len(entries) > 1 else (None, {})


def _other_sizes(run: Run) -> str:
    moved: dict[tuple[int, ...], list[str]] = {}
    for name, record in run.records.items():
        if "fitted_on" in record:
            moved.setdefault(tuple(record["fitted_on"]), []).append(name)
    return "".join(
        f" Trained on blocks of {' × '.join(map(str, shape))} voxels of the same image, and drawn larger or smaller: "
        f"{', '.join(names)}."
        for shape, names in moved.items()
    )


def _small_bands(run: Run) -> str:
    table = run.table
    scored = table[(table["metric"] == "nfr100") & (table["band"] != ALL)]
    counts = sorted({int(count) for count in scored["n_real"].dropna()})
    if not counts or counts[0] >= FEW:
        return ""
    found = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f" A band holds {found} of them, where 100 are advised: intervals are wide, and small defects are not found."


def _rank_section(run: Run) -> list[str]:
    """Return ranks, how far they move when something is left out of the score, and which pairs are tied."""
    order = run.order
    if order is None or order.ranking.empty:
        return []
    _, places = _repeated(run)
    rows = [
        [
            rank,
            name,
            _span(places.get(name)),
            *(_span(order.span(name, part)) for part in ("descriptor", "family", "band")),
        ]
        for name in run.generators
        if (rank := order.rank(name)) is not None
    ]
    tied = [f"{row.second} and {row.first}" for row in order.ties.itertuples() if row.tied]
    return [
        "## Ranks",
        "",
        RANKS,
        "",
        *table_lines(
            [
                "rank",
                "generator",
                "in other runs",
                "without one descriptor",
                "without one family",
                "without one band",
            ],
            rows,
        ),
        "",
        f"Tied pairs, controls included: {'; '.join(tied) if tied else 'none'}.",
        "",
    ]


def _bands_and_tests(run: Run) -> list[str]:
    """Return NFR100 of each density band, and the p-values behind the verdict, uncorrected."""
    rows = [
        [
            name,
            *(_text(run, name, "nfr100", "{:.1f}", band) for band in run.bands),
            *(_text(run, name, f"p:{test}", "{:.2g}") for test in TESTS),
        ]
        for name in run.generators
    ]
    known = "; ".join(f"{test}: {what}" for test, what in TESTS.items())
    header = ["generator", *(f"NFR100 {band}" for band in run.bands), *(f"p {test}" for test in TESTS)]
    return [*table_lines(header, rows), "", f"Tests: {known}."]


def _span(ends: tuple[int, int] | None) -> str:
    if ends is None:
        return ABSENT
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _companions(run: Run) -> list[str]:
    """Return errors in physical units with their noise floors, and the second opinions."""
    header = ["generator", "density error (real)"]
    header += [f"{quantity} error (floor)" for quantity in PHYSICAL.values()]
    edge, unit = _scale(run)
    in_unit = {"pore_radius": (unit, edge), "specific_surface": (f"1/{unit}", 1 / edge)} if unit else {}
    header += [f"{PHYSICAL[key]} error, {named} (floor)" for key, (named, _) in in_unit.items()]
    header += [
        "percolation (real)",
        "AUC, logistic [95 % CI]",
        "AUC, nonlinear [95 % CI]",
        "fidelity",
        "coverage (real)",
    ]
    header += ["leaks %", "novelty", "diversity", "empty volumes"]
    rows = [
        [
            name,
            f"{_text(run, name, 'density_error', '{:.3f}')} ({_text(run, name, 'density_error_real', '{:.3f}')})",
            *(
                f"{_text(run, name, f'{key}:error', '{:.3g}')} ({_text(run, name, f'{key}:floor', '{:.3g}')})"
                for key in PHYSICAL
            ),
            *(
                f"{_text(run, name, f'{key}:error', '{:.3g}', factor=factor)} "
                f"({_text(run, name, f'{key}:floor', '{:.3g}', factor=factor)})"
                for key, (_, factor) in in_unit.items()
            ),
            f"{_text(run, name, 'percolation')} ({_text(run, name, 'percolation_real')})",
            _interval(run, name, "c2st_auc"),
            _interval(run, name, "c2st_auc_nonlinear"),
            _text(run, name, "fidelity"),
            f"{_text(run, name, 'coverage')} ({_text(run, name, 'coverage_expected')})",
            _percent(run, name, "leak_rate"),
            _text(run, name, "novelty"),
            _text(run, name, "diversity"),
            _text(run, name, "n_empty", "{:.0f}"),
        ]
        for name in run.generators
    ]
    return table_lines(header, rows)


def _reconstruction(run: Run, names: list[str]) -> list[str]:
    header = ["generator", *(f"IoU {band}" for band in run.bands), "IoU, chance-corrected", "precision", "recall"]
    edge, unit = _scale(run)
    header += ["small-pore recall", "radius W1, voxels", *([f"radius W1, {unit}"] if unit else [])]
    rows = [
        [
            name,
            *(_text(run, name, "iou", "{:.3f}", band) for band in run.bands),
            *(
                _text(run, name, metric, "{:.3f}")
                for metric in ("corrected_iou", "precision", "recall", "small_pore_recall", "radius_w1")
            ),
            *([_text(run, name, "radius_w1", "{:.3g}", factor=edge)] if unit else []),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def _sizes(run: Run, names: list[str]) -> list[str]:
    edge, unit = _scale(run)
    header = ["generator", "radius W1 to real", "radius W1 to truth", *([f"radius W1 to real, {unit}"] if unit else [])]
    header += [f"small pores {band}" for band in run.bands]
    rows = [
        [
            name,
            _interval(run, name, "drawn_radius_w1"),
            _interval(run, name, "true_radius_w1"),
            *([_interval(run, name, "drawn_radius_w1", factor=edge)] if unit else []),
            *(_interval(run, name, "small_pore_ratio", band) for band in run.bands),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def _scale(run: Run) -> tuple[float, str]:
    """Return edge and unit of a voxel, the unit "" where it is not known."""
    return voxel_of_run(run) or (1.0, "")


def _text(run: Run, name: str, metric: str, pattern: str = "{:.2f}", band: str = ALL, *, factor: float = 1.0) -> str:
    found = run.scores(metric, band).get(name)
    return ABSENT if found is None else pattern.format(factor * found.value)


def _percent(run: Run, name: str, metric: str) -> str:
    found = run.scores(metric).get(name)
    return ABSENT if found is None else f"{100 * found.value:.1f}"


def _interval(run: Run, name: str, metric: str, band: str = ALL, *, factor: float = 1.0) -> str:
    found: Score | None = run.scores(metric, band).get(name)
    if found is None:
        return ABSENT
    value, low, high = (factor * number for number in (found.value, found.low, found.high))
    return short(value) + ("" if pd.isna(low) else f" [{short(low)}, {short(high)}]")
