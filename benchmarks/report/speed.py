"""Speed tables in Markdown, from the JSON of pytest-benchmark and from time and memory against size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd

from porebench.generators import GENERATORS

from ..store.timings import Timing, timings_of
from .text import ABSENT, table_lines, table_of

NOT_MEASURED = "not measured"
PEER = "porespy blobs"
UNTRAINED = "untrained"
OTHER_VERSION = "stale"
RIVALS = {
    "gaussian-field": ("porespy blobs", "gstools SRF"),
    "sphere-packing": (
        "porespy overlapping_spheres",
        "porespy polydisperse_spheres",
        "porespy random_spheres",
    ),
    "pca": ("porespy blobs",),
    "cvae": ("cvae-seed", "porespy blobs"),
    "cvae-prior": ("cvae-seed",),
}
"""Generators that each one replaces: another toolbox's of the same kind of structure, or the published method."""
CLOCK = (
    "Each benchmark runs in several blocks, in random order inside each. Times are medians of the blocks; "
    "“between blocks” is the slowest block less the fastest, over the median. The first call, with "
    "compilation and caches, is apart."
)
DRAWN = ("sampling", "sampling-large")
"""Groups of benchmarks that time draws."""
ON_GPU = (
    "Milliseconds from a list of densities to boolean voxels in host memory, random numbers and transfers included."
)
BESIDE = (
    "Volumes a second over those of the other, at equal shape, porosity and mean chord: median (range) over blocks. "
    "A “>” stands where the other was stopped before it had finished."
)
MATCHED = (
    "All are asked for one porosity. The feature size of the other toolboxes is set so that the mean chord is that of "
    "real volumes of this porosity; generators that learn were fitted on such volumes. What came out is shown."
)
REACHED = (
    "What a volume of 30³ asks for at least (batch 64), and the time that this would take at the speeds of matrix "
    "products and of memory measured beside it: the longer of the two counts. How operations are counted, and why some "
    "reach little: docs/speed.md."
)
CALLS = (
    "One thread, the same volumes: ours against the calls of other packages that come nearest. What ours shares "
    "between descriptors is computed for each line anew, and once for all of these."
)
HARD = "One thread, all descriptors of one volume: the time over that of blobs of the same size and share of pores."
BATCH = 64
"""Volumes in a call whose time is compared with the machine's limits."""
LIMITS = {"float32": "operations/s in float32", "bfloat16": "operations/s in bfloat16", "memory": "bytes/s of memory"}
"""Unit of each speed of a machine that bounds a draw."""


def reaches(timings: Sequence[Timing]) -> pd.DataFrame:
    """Return the share of the limit of every generator whose work was counted, on devices whose speeds were measured.

    Args:
        timings: of the groups "limits" and "sampling", of which batches of ``BATCH`` volumes count.

    Returns:
        A row a generator and device: ``operations`` and ``bytes`` of a volume, the ``bound`` that counts ("arithmetic"
        or "memory"), seconds of a volume at the ``limit`` and as measured, their ratio ``share``, and the ``LIMITS``.
    """
    speeds = {(it.device, it.generator): it.info["amount"] / it.seconds for it in timings if it.group == "limits"}
    rows = []
    for it in timings:
        memory = speeds.get((it.device, "memory"))
        arithmetic = speeds.get((it.device, it.info.get("arithmetic", "")))
        if it.group != "sampling" or it.volumes != BATCH or memory is None or arithmetic is None:
            continue
        operations, moved = float(it.info["operations"]), float(it.info["bytes"])
        limits = {"arithmetic": operations / arithmetic, "memory": moved / memory}
        bound, seconds = max(limits, key=lambda kind: limits[kind]), it.seconds / it.volumes
        row = {"generator": it.generator, "device": it.device, "operations": operations, "bytes": moved}
        row |= {"bound": bound, "limit": limits[bound], "seconds": seconds, "share": limits[bound] / seconds}
        rows.append(row | {LIMITS[kind]: speed for (device, kind), speed in speeds.items() if device == it.device})
    return pd.DataFrame(rows)


def speed_markdown(runs: Sequence[dict[str, Any]], digests: Mapping[str, str], scaling: Sequence[str] = ()) -> str:
    """Return the speed document.

    CPU figures are ratios to PoreSpy's ``blobs`` in the same run; times are given for a GPU, with its name.

    Args:
        runs: JSON of pytest-benchmark, one a device.
        digests: of the generators in the accuracy table, by name; see ``sampling_table``.
        scaling: lines of the table of time and memory against size.
    """
    timings = timings_of(runs)
    lines = ["# Speed", ""]
    for run in runs:
        machine = run["machine_info"]
        about = (machine["processor"], f"{machine['threads']} threads", machine["commit"])
        lines.append(f"- {run['datetime'][:10]}: {', '.join(about)}")
    several = any(it.spread is not None for it in timings)
    lines += ["", *([CLOCK, ""] if several else []), *sampling_table(timings, digests), ""]
    parts = [
        ("On a GPU", ON_GPU, gpu_table(timings)),
        ("Beside other toolboxes", BESIDE, rival_table(timings)),
        ("Settings and times of the comparison", MATCHED, _settings(timings)),
        ("How near to the machine's limit", REACHED, _reached(reaches(timings))),
        ("Time and memory against size", "", scaling),
        ("Fitting 448 volumes of 30³", "", _plain(timings, "fit")),
        ("Describing 512 volumes of 30³", "", _plain(timings, "scoring")),
        ("Describing beside other packages", CALLS, _calls(timings)),
        ("Describing shapes that are hard to describe", HARD, _shapes(timings)),
    ]
    for title, text, table in parts:
        if table:
            lines += [f"## {title}", "", *([text, ""] if text else []), *table, ""]
    return "\n".join(lines)


def speed_summary(runs: Sequence[dict[str, Any]], digests: Mapping[str, str]) -> list[str]:
    """Return the speed tables of the README, with date and machine; arguments as for ``speed_markdown``."""
    timings = timings_of(runs)
    rivals = rival_table(timings)
    made = f"{runs[0]['datetime'][:10]}, {runs[0]['machine_info']['processor']}."
    return [*sampling_table(timings, digests), "", *([*rivals, ""] if rivals else []), made]


def sampling_table(timings: Sequence[Timing], digests: Mapping[str, str]) -> list[str]:
    """Return volumes a second of each generator: on the CPU as a multiple of PoreSpy's ``blobs``, on a GPU absolutely.

    Args:
        timings: of all benchmarks.
        digests: of the generators in the accuracy table, by name. A figure that was measured on another version of a
            generator than its accuracy is not shown beside it, but called stale.
    """
    peer = next((it for it in timings if (it.group, it.generator, it.edge) == ("peers", PEER, 30)), None)
    speed = {(it.generator, it.device, it.volumes): it for it in timings if it.group == "sampling"}
    timed = dict.fromkeys(name for name, _, _ in speed)
    names = [*(name for name in GENERATORS if name in timed), *(name for name in timed if name not in GENERATORS)]
    batches = sorted({batch for _, device, batch in speed if device == "cpu"})
    gpu = next((it.info["device"] for it in speed.values() if it.device == "cuda"), None)
    on_gpu_too = {it.generator for it in speed.values() if "cuda" in it.info.get("devices", ())}
    header = ["generator", *(f"× {PEER}, batch {batch}" for batch in batches), "between blocks"]
    header.append(f"512 volumes on {gpu or 'a GPU'}")
    rows = []
    for name in names:
        own = [speed.get((name, "cpu", batch)) for batch in batches]
        cells = [ABSENT if it is None or peer is None else f"{median(it.over(peer)):.3g}" for it in own]
        row = [OTHER_VERSION if it and _differs(it, digests) else cell for it, cell in zip(own, cells, strict=True)]
        on_gpu = speed.get((name, "cuda", 512))
        if on_gpu and _differs(on_gpu, digests):
            last = OTHER_VERSION
        elif on_gpu:
            last = f"{1e3 * on_gpu.seconds:.1f} ms"
        else:
            last = NOT_MEASURED if name in on_gpu_too else "CPU only"
        rows.append([name, *row, _spread(it for it in own if it is not None), last])
    lines = table_lines(header, rows)
    if any(OTHER_VERSION in row for row in rows):
        lines += [
            "",
            f"{OTHER_VERSION}: timed on another version of the generator than its accuracy; run `make bench`.",
        ]
    return lines


def gpu_table(timings: Sequence[Timing]) -> list[str]:
    """Return milliseconds of a call on a GPU by size and number of volumes; empty where nothing was timed on one."""
    timed = {(it.generator, it.edge, it.volumes): it for it in timings if it.device == "cuda" and it.group in DRAWN}
    calls = sorted({(edge, volumes) for _, edge, volumes in timed})
    rows = []
    for name in dict.fromkeys(name for name, _, _ in timed):
        found = [timed.get((name, *call)) for call in calls]
        rows.append(
            [name, *(ABSENT if it is None else f"{1e3 * it.seconds:.3g}" for it in found), _spread(filter(None, found))]
        )
    header = ["generator", *(f"{volumes} × {edge}³" for edge, volumes in calls), "between blocks"]
    return table_lines(header, rows) if rows else []


def rival_table(timings: Sequence[Timing]) -> list[str]:
    """Return how many times faster each generator is than what it replaces, by size; empty if nothing was compared."""
    timed = {(it.generator, it.edge): it for it in _compared(timings)}
    edges = sorted({edge for _, edge in timed})
    rows = []
    for name, rivals in RIVALS.items():
        for rival in rivals:
            pairs = [(timed.get((name, edge)), timed.get((rival, edge))) for edge in edges]
            cells = [ABSENT if ours is None or theirs is None else _ratio(ours, theirs) for ours, theirs in pairs]
            if set(cells) != {ABSENT}:
                rows.append([name, rival, *cells])
    if not rows:
        return []
    batches = {edge: it.volumes for (name, edge), it in timed.items() if name in RIVALS}
    heads = [f"{edge}³, batch {batches[edge]}" if edge in batches else f"{edge}³" for edge in edges]
    return table_lines(["generator", "beside", *heads], rows)


def _compared(timings: Sequence[Timing]) -> list[Timing]:
    """Return timings at equal porosity and mean chord; none where it was not recorded what came out."""
    members = [it for it in timings if it.group == "peers"]
    return members if any("mean_chord" in it.info for it in members) else []


def _ratio(ours: Timing, theirs: Timing) -> str:
    ratios = ours.over(theirs)
    if not ratios:
        return ABSENT
    span = f" ({min(ratios):.3g}–{max(ratios):.3g})" if len(ratios) > 1 else ""
    return f"{'> ' if theirs.gave_up else ''}{median(ratios):.3g}{span}"


def _settings(timings: Sequence[Timing]) -> list[str]:
    """Return what each side of the comparison was asked for, what came out, and how long it took."""

    def asked(it: Timing) -> str:
        given = it.info.get("params") or {}
        return ", ".join(f"{key} {_value(value)}" for key, value in given.items() if key not in {"shape", "edge"})

    columns: dict[str, Callable[[Timing], str]] = {
        "generator": lambda it: it.generator,
        "volumes": lambda it: f"{it.edge}³ × {it.volumes}",
        "settings": asked,
        "porosity": lambda it: _value(it.info.get("porosity", ABSENT)),
        "mean chord": lambda it: _value(it.info.get("mean_chord", ABSENT)),
        "ms a volume": lambda it: f"{'> ' if it.gave_up else ''}{it.milliseconds:.3g}",
        "between blocks": lambda it: _spread([it]),
        "first call s": lambda it: _first_call(it, ".3g"),
    }
    return table_of(_compared(timings), columns)


def _reached(found: pd.DataFrame) -> list[str]:
    if found.empty:
        return []
    columns: dict[str, Callable[[Any], str]] = {
        "generator": lambda it: it.generator,
        "on": lambda it: it.device,
        "million operations": lambda it: f"{it.operations / 1e6:.3g}",
        "kB moved": lambda it: f"{it.bytes / 1e3:.3g}",
        "limit µs": lambda it: f"{1e6 * it.limit:.3g} ({it.bound})",
        "measured µs": lambda it: f"{1e6 * it.seconds:.3g}",
        "reached": lambda it: f"{100 * it.share:.2g} %",
    }
    measured = ", ".join(
        f"{found[unit].dropna().iloc[-1]:.3g} {unit}" for unit in found.columns if unit in LIMITS.values()
    )
    return [*table_of(found.itertuples(), columns), "", f"Measured: {measured}."]


def _plain(timings: Sequence[Timing], group: str) -> list[str]:
    columns: dict[str, Callable[[Timing], str]] = {
        "what": lambda it: (
            f"{it.generator}, {it.info['params']['workers']} threads" if group == "scoring" else it.generator
        ),
        "median s": lambda it: f"{it.seconds:.2f}",
        "between blocks": lambda it: _spread([it]),
        "first call s": lambda it: _first_call(it, ".2f"),
        "rounds": lambda it: str(it.rounds),
    }
    return table_of([it for it in timings if it.group == group], columns)


def _first_call(it: Timing, pattern: str) -> str:
    return f"{it.info['first_call_seconds']:{pattern}}" if "first_call_seconds" in it.info else ABSENT


def _calls(timings: Sequence[Timing]) -> list[str]:
    """Return the time of each descriptor beside that of another package's calls."""
    rows = []
    pairs = _pairs(timings, "descriptors", "porebench", "calls")
    for ours, theirs in pairs:
        times = [f"{it.milliseconds:.3g}" for it in (ours, theirs)]
        rows.append([ours.generator, theirs.info["params"]["calls"], *times, _ratio(ours, theirs)])
    volumes = pairs[0][0].volumes if pairs else 0
    header = ["descriptors", "calls", "ours, ms a volume", "theirs, ms a volume", "speed-up"]
    return [*table_lines(header, rows), "", f"{volumes} volumes of 30³."] if rows else []


def _shapes(timings: Sequence[Timing]) -> list[str]:
    """Return the time of each hard shape beside that of blobs with as many pores."""
    pairs = _pairs(timings, "shapes", "shape", "blobs")
    rows = [
        [
            shape.generator,
            f"{100 * shape.info['params']['share']:.0f}",
            *(f"{it.milliseconds:.3g}" for it in (shape, blobs)),
            _ratio(blobs, shape),
        ]
        for shape, blobs in pairs
    ]
    header = ["shape", "pores, %", "ms a volume", "blobs, ms a volume", "× blobs"]
    return [*table_lines(header, rows), "", f"Volumes of {pairs[0][0].edge}³."] if rows else []


def _pairs(timings: Sequence[Timing], group: str, first: str, second: str) -> list[tuple[Timing, Timing]]:
    """Return the timings of both sides of each comparison in a group, where both are known."""
    sides = {(it.generator, it.info["params"]["by"]): it for it in timings if it.group == group}
    names = dict.fromkeys(name for name, _ in sides)
    return [(sides[name, first], sides[name, second]) for name in names if {(name, first), (name, second)} <= {*sides}]


def _differs(timing: Timing, digests: Mapping[str, str]) -> bool:
    """Return whether a timing is of another version than the accuracy; untrained weights cost the same."""
    accuracy, speed = digests.get(timing.generator), timing.info.get("digest", UNTRAINED)
    return accuracy is not None and speed not in {UNTRAINED, accuracy}


def _spread(timings: Iterable[Timing]) -> str:
    """Return the widest spread between blocks."""
    known = [it.spread for it in timings if it.spread is not None]
    return f"{100 * max(known):.0f} %" if known else ABSENT


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "–".join(_value(part) for part in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
