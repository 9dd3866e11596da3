"""Options that several commands share, and what they are read as."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_type_hints

import typer

from .console import tell

if TYPE_CHECKING:
    from porebench.data import Axis, Dataset, Reading
    from porebench.data.phase import Threshold
    from porebench.data.several import Pick

RESULTS = Path("results")
"""Default results folder, in the working directory."""
ALL = "all"
"""Instead of names: every generator that can be drawn at once, the slow ones too."""

ResultsOption = Annotated[Path, typer.Option(help="Results folder.")]
PublishOption = Annotated[
    bool, typer.Option("--publish", help="Change the published tables of the results folder, not those in own/ below.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of fits, draws and resampling.", min=0)]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to sample.")]
PrecisionOption = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(help="Number format in which networks multiply; auto is what the device is fast at."),
]
GeneratorsOption = Annotated[
    str | None,
    typer.Option(
        help="Registered names, comma-separated; 'all': all but networks that are not trained yet. Default: those of "
        "them that draw fast."
    ),
]
OwnOption = Annotated[
    list[str] | None,
    typer.Option(help="path/to/file.py:Class, a generator of your own; runs that file. Repeatable."),
]
PoreOption = Annotated[
    str | None,
    typer.Option(help="Label of pores in an image, or several with commas. Default: of two, as is said on loading."),
]
ThresholdOption = Annotated[
    str | None, typer.Option(help="Grey value that pores lie at or below, or 'otsu', for an image not segmented.")
]
_RAW_SHAPE = Annotated[str | None, typer.Option(help="Depth, height and width of a .raw file: D,H,W.")]
_RAW_TYPE = Annotated[str | None, typer.Option(help="Type of a voxel in a .raw file: uint8, int16, >u2.")]
_RAW_OFFSET = Annotated[int, typer.Option(help="Bytes before the first voxel of a .raw file.", min=0)]
KeyOption = Annotated[
    str | None, typer.Option(help="Array to read from a file of several (.npz, .mat, .h5, .nc, .zarr, .vti).")
]
PickOption = Annotated[
    str | None,
    typer.Option(help="What to read of several: channel=0, frame=0, phase=0 (one-hot) or volume=0, with commas."),
]
_OUTSIDE = Annotated[
    str | None,
    typer.Option(help="Label of what is not the sample, or several with commas; blocks that touch it are left out."),
]
_VOXEL_SIZE = Annotated[float | None, typer.Option(help="Edge of a voxel; default as the image's file states it.")]
_RESAMPLE = Annotated[
    bool, typer.Option("--resample", help="Make voxels that are no cubes into cubes, by the nearest voxel.")
]
_IMAGE: list[tuple[str, Any, Any]] = [
    ("pore", PoreOption, None),
    ("threshold", ThresholdOption, None),
    ("outside", _OUTSIDE, None),
    ("voxel_size", _VOXEL_SIZE, None),
    ("resample", _RESAMPLE, False),
    ("raw_shape", _RAW_SHAPE, None),
    ("raw_type", _RAW_TYPE, None),
    ("raw_offset", _RAW_OFFSET, 0),
    ("key", KeyOption, None),
    ("pick", PickOption, None),
]
_BLOCK = Annotated[
    int, typer.Option(help="Edge in voxels of the blocks of an image, or of a built-in set's volumes.", min=2)
]
_AXIS = Annotated[
    Literal["depth", "height", "width"] | None,
    typer.Option(help="Axis along which an image is split into training, validation and test; default the longest."),
]
_CUT: list[tuple[str, Any, Any]] = [("block", _BLOCK, 30), ("axis", _AXIS, None)]
_DATASET = Annotated[
    str, typer.Option(help="Built-in name, name of a rock, folder of published files, or image of a volume.")
]
_GIVEN = Annotated[
    list[str] | None, typer.Option(help="A data set that is not built in: its folder or image. Repeatable.")
]
_SKIP_BAD = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and list them.")]

LEAST_BLOCK = 8
"""Edge in voxels of the smallest blocks that are proposed: less holds no structure."""

Command = Callable[..., Any]


def takes_dataset(command: Command) -> Command:
    """Return a command with the options of a data set, which gets the loaded data set as ``dataset``."""

    def load(dataset: str, skip_bad: bool, block: int, axis: Axis | None, quiet: bool = False, **image: Any) -> Dataset:
        return _loaded(dataset, quiet, block=block, axis=axis, skip_bad=skip_bad, **reading(**image))

    options = [("dataset", _DATASET, "spheres"), ("skip_bad", _SKIP_BAD, False), *_CUT, *_IMAGE]
    return _with_options(command, "dataset", options, load)


def takes_datasets(command: Command) -> Command:
    """Return a command with the options of any number of data sets, which gets the loaded ones as ``given``."""

    def load(dataset: list[str] | None, block: int, axis: Axis | None, **image: Any) -> list[Dataset]:
        return [_loaded(name, False, block=block, axis=axis, **reading(**image)) for name in dataset or []]

    return _with_options(command, "given", [("dataset", _GIVEN, None), *_CUT, *_IMAGE], load)


def takes_image(command: Command) -> Command:
    """Return a command with the options of an image file, which gets them as ``image``."""
    return _with_options(command, "image", _IMAGE, reading)


def written_results(out: Path, publish: bool, dataset: Dataset | None = None) -> Path:
    """Return the results folder to write into, and say where that is if it is not the obvious place.

    Args:
        out: as given.
        publish: whether published tables may be changed.
        dataset: whose results they are; None where the results are of no single one.
    """
    from ..store.results import data_folder, writable

    chosen = writable(out, publish=publish)
    if chosen != out:
        tell(f"results go to {chosen}: the tables in {out} are published, and only --publish changes them")
    if dataset is not None and (folder := data_folder(chosen, dataset)).name != dataset.name:
        tell(f"results go to {folder}: {chosen / dataset.name} has those of another data set of that name")
    return chosen


def reading(
    pore: str | None,
    threshold: str | None,
    outside: str | None,
    voxel_size: float | None,
    resample: bool,
    raw_shape: str | None,
    raw_type: str | None,
    raw_offset: int,
    key: str | None,
    pick: str | None,
) -> Reading:
    """Return the options of an image as ``porebench.data`` takes them.

    Raises:
        ValueError: if a text is no number, or the shape no three lengths.
    """
    shape = None if raw_shape is None else _numbers(raw_shape, "--raw-shape")
    if shape is not None and (len(shape) != 3 or any(length != int(length) for length in shape)):
        raise ValueError(f"expected three lengths such as --raw-shape 100,120,140, got {raw_shape!r}")
    labels, grey = phase(pore, threshold)
    return {
        "pore": labels,
        "threshold": grey,
        "shape": None if shape is None else (int(shape[0]), int(shape[1]), int(shape[2])),
        "dtype": raw_type,
        "outside": None if outside is None else _numbers(outside, "--outside"),
        "voxel_size": voxel_size,
        "resample": resample,
        "offset": raw_offset,
        "key": key,
        "pick": picked(pick),
    }


def picked(text: str | None) -> Pick | None:
    """Return what ``--pick`` asks for, as ``porebench.data`` takes it.

    Raises:
        ValueError: if the text is something else.
    """
    if text is None:
        return None
    from porebench.data.several import PICKS

    pairs = [part.partition("=") for part in text.split(",")]
    if any(name not in PICKS or not number.isdecimal() for name, _, number in pairs):
        raise ValueError(f"expected channel, frame, phase or volume with a number, as --pick frame=0, got {text!r}")
    return cast("Pick", {name: int(number) for name, _, number in pairs})


def phase(pore: str | None, threshold: str | None) -> tuple[list[float] | None, Threshold]:
    """Return labels of pores and threshold as ``data.phase.pore_phase`` takes them.

    Raises:
        ValueError: if a text is no number.
    """
    labels = None if pore is None else _numbers(pore, "--pore")
    if threshold is None or threshold == "otsu":
        return labels, "otsu" if threshold else None
    number = _numbers(threshold, "--threshold")
    if len(number) != 1:
        raise ValueError(f"expected one grey value or otsu after --threshold, got {threshold!r}")
    return labels, number[0]


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"expected numbers with commas between after {option}, got {text!r}") from None


def _loaded(name: str, quiet: bool, **options: Any) -> Dataset:
    """Return a data set, and say what was taken for pore unless quiet."""
    from porebench import data

    dataset = data.load(name, **options)
    if dataset.phase and not quiet:
        tell(f"{dataset.name}: {dataset.phase}")
    return dataset


def _with_options(
    command: Command, name: str, options: list[tuple[str, Any, Any]], load: Callable[..., Any]
) -> Command:
    """Return a command in which options stand for the argument of a name; the first comes first, the others last."""
    signature = inspect.signature(command)
    hints = get_type_hints(command, localns={"Dataset": Any, "Reading": Any}, include_extras=True)
    kept = [each.replace(annotation=hints[each.name]) for each in signature.parameters.values() if each.name != name]
    added = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for option, kind, default in options
    ]

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        own = {option: arguments.pop(option) for option, _, _ in options}
        try:
            command(**{name: load(**own)}, **arguments)
        except ValueError as error:
            from ..evaluate.judgeable import NothingToJudgeError

            if name != "dataset" or not isinstance(error, NothingToJudgeError):
                raise
            raise ValueError(f"{error}{way_out(load, own)}") from None

    first = added[:1] if options[0][0] == "dataset" else []
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            *first,
            *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in kept),
            *added[len(first) :],
        ]
    )
    run.__annotations__ = {each.name: each.annotation for each in [*kept, *added]} | {"return": None}
    del run.__wrapped__
    return run


def way_out(load: Callable[..., Dataset], given: dict[str, Any]) -> str:
    """Return the options, in words, with which an image can be judged; "" for other data.

    Args:
        load: loads the data set with such options.
        given: the options with which nothing can be judged.
    """
    from porebench.data import AXES

    from ..evaluate.judgeable import check_judgeable

    def would_do(**other: Any) -> bool:
        try:
            check_judgeable(load(**{**given, **other}, quiet=True))
        except ValueError:
            return False
        return True

    if would_do():
        return "; more --samples would do"
    if load(**given, quiet=True).density_kind != "porosity":
        return ""
    block, axis = given["block"], given["axis"]
    smaller = [edge for tenths in range(9, 1, -1) if (edge := block * tenths // 10) >= LEAST_BLOCK]
    tried = [{"axis": other} for other in AXES if other != axis]
    tried += [{"block": edge} for edge in smaller]
    tried += [{"axis": other, "block": edge} for other in AXES if other != axis for edge in smaller]
    for other in tried:
        if would_do(**other):
            return f"; {' '.join(f'--{option} {value}' for option, value in other.items())} would do"
    return "; no smaller block would do along any axis: use a larger image, or cut off what is empty"


def chosen_generators(
    registered: str | None, own: list[str] | None, dataset: Dataset, seed: int, *, drawn_in: Path | None = None
) -> list[str]:
    """Return the generators asked for, each once; where none is, the usual ones but networks not trained yet.

    A network, which is a generator with ``epochs``, trains for minutes to hours: unless its weights are at hand, it is
    left out, with one line that names the command. So are those of ``ON_REQUEST``, unless "all" are asked for.

    Args:
        registered: as given by ``--generators``.
        own: as given by ``--generator``.
        dataset: what they are to be fitted on.
        seed: of the fit.
        drawn_in: a run folder whose samples make up for a fit that is not at hand, for a command that needs no more.
    """
    from porebench.generators import GENERATORS, ON_REQUEST

    from ..evaluate.fits import prepare
    from ..store.cells import Cells
    from ..store.places import Places

    def at_hand(name: str) -> bool:
        fit = prepare(name, dataset, seed, Places())
        if "epochs" not in fit.generator.params:
            return True
        drawn = drawn_in is not None and Cells(drawn_in, name).read("sample") is not None
        return drawn or fit.at_hand(Places()) is not None

    if registered != ALL and (registered is not None or own):
        names = named_generators(registered or "")
    else:
        usual = [name for name in GENERATORS if registered == ALL or name not in ON_REQUEST]
        names = [name for name in usual if at_hand(name)]
        if left := [name for name in usual if name not in names]:
            tell(
                f"left out, not trained on {dataset.name}: {', '.join(left)}; porebench train {left[0]}, with the same "
                "--dataset, trains one"
            )
    return list(dict.fromkeys([*names, *(own or [])]))


def named_generators(names: str) -> list[str]:
    """Return registered generators from their names with commas between."""
    from porebench.generators import get

    listed = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in listed:
        get(name)
    return listed


_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def seconds(text: str) -> float:
    """Return a duration in seconds from text such as ``90``, ``20m`` or ``1.5h``.

    Raises:
        ValueError: if the text is none.

    Example:
        >>> seconds("90"), seconds("20m"), seconds("1.5h")
        (90.0, 1200.0, 5400.0)
    """
    return _parse(text, _SECONDS, "a duration such as 90, 20m or 2h")


def size(text: str) -> int:
    """Return a number of bytes from text such as ``800M`` or ``8G``.

    Raises:
        ValueError: if the text is none.

    Example:
        >>> size("800M"), size("8G")
        (800000000, 8000000000)
    """
    return round(_parse(text, _BYTES, "a size such as 800M or 8G"))


def _parse(text: str, units: dict[str, float], what: str) -> float:
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]?)\s*", text.lower(), re.ASCII)
    value = float(match[1]) * units[match[2]] if match and match[2] in units else 0.0
    if value <= 0:
        raise ValueError(f"expected {what}, got {text!r}")
    return value
