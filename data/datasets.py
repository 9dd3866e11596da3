"""From a name or a path to a data set: training, validation and test volumes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from .archives import SLICES, is_image, is_zarr
from .images import SUFFIXES, WRITTEN, Reading, Segmented, blocks, read_phase, read_set
from .phase import Phase
from .rocks import checked, fetch, rocks
from .seed_format import PUBLISHED, read_folder
from .spheres import EDGE, LAWS, VOXEL_SIZE, Spheres, draw_spheres, is_simulated, simulate, simulator
from .volumes import Dataset, DensityKind, Volumes

NAMES: tuple[str, ...] = tuple(LAWS)
"""Data sets that can be made anywhere, by name."""

_HERE = Path(__file__).resolve().parent
Axis = Literal["depth", "height", "width"]
AXES: tuple[Axis, ...] = ("depth", "height", "width")
"""Axes of a volume, in the order of its array."""

_SEED = 100  # the fitted law of the data set drawn with it is closest to the published one (see the tests)
_SET_SIZE, _SET_SIZE_OF_LARGE = 512, 128
_SPLIT_SEED = 30
_logger = logging.getLogger(__name__)


def load(
    name_or_path: str | Path,
    *,
    block: int = EDGE,
    axis: Axis | None = None,
    skip_bad: bool = False,
    **image: Unpack[Reading],
) -> Dataset:
    """Return the training, validation and test volumes of a built-in data set, a folder or an image.

    * A built-in name (`NAMES`): sphere packs made on the spot, 448 training, 64 validation and 512 test volumes, the
      same on every machine. Density is the density factor. Volumes of another edge than 30, of pores as large in
      voxels, have names such as spheres-64; of larger ones there are 112, 16 and 128.
    * The name of a rock in ``rocks.toml``, such as berea: its tomography, fetched at the first use and kept in the
      user's cache, with voxels in micrometres. A file of that name where a path is looked for comes first.
    * A folder in the published format: about 60 % training, 15 % validation and 25 % test volumes, drawn with a fixed
      seed. Every part has densities spread like the whole: of each four neighbours in order of density one goes to the
      test part, of each five among the others one to the validation part. Density is the density factor.
      A folder that holds one image, or the slices of one, stands for that image.
    * Several volumes in one file (``voxels`` [n, D, H, W]), or in a folder as ``porebench sample`` writes it: split as
      a published folder is. Density is what file or names state, else each volume's own porosity.
    * An image: disjoint blocks, with their porosity as density. Its block layers along an axis are split into slabs,
      the first for training, the next for validation and the last for test (a quarter of the layers each for
      validation and test, rounded down, at least one), so test blocks come from a region never seen. Blocks that
      touch what is outside the sample are left out. Blocks of another edge than 30 stand in the name: rock-64.

    Args:
        name_or_path: a name in `NAMES`, that of a rock, a path, or the name of what lies in ``./data``, or in ``data/``
            of a clone.
        block: edge in voxels of the blocks of an image, or of the volumes of a built-in data set.
        axis: that an image is split along; default the longest.
        skip_bad: leave out bad files of a folder with a logged warning each, instead of raising at the first.
        image: what is pore or outside, the size of a voxel, shape and type of a ``.raw``, and the name of an array or
            the number of a channel; see `Reading`. All but ``voxel_size`` are for images only.

    Raises:
        FileNotFoundError: if a path leads nowhere.
        ValueError: if the name is unknown, a file is bad, or there is too little to split into three parts.

    Example:
        >>> [len(part) for part in load("spheres")]
        [448, 64, 512]
    """
    if unknown := set(image) - set(Reading.__annotations__):
        known = ", ".join(Reading.__annotations__)
        raise TypeError(f"load takes no {', '.join(sorted(unknown))}; an image has {known}")
    voxel_size = image.get("voxel_size")
    if (built_in := simulator(name_or_path)) is not None:
        law, edge = built_in
        dataset = _built_in(law, block if edge == EDGE else edge)
    elif _is_published(path := _find(name_or_path)):
        dataset = _from_folder(path, skip_bad)
    else:
        options = _of_rock(name_or_path, path, image)
        found, name = read_set(path, **options), _safe_name(_stem(path))
        alone = len(found.voxels) == 1
        outside = None if found.outside is None else found.outside[0]
        cut = _from_image(found.voxels[0], name, block, axis, outside) if alone else _from_set(found, name)
        phase = checked(_with_unit(found.phase, image, options), name)
        dataset = replace(cut, phase="; ".join(filter(None, (str(phase), cut.phase))))
        voxel_size = found.voxel_size
    if voxel_size is None:
        return dataset
    train, validation, test = (replace(part, voxel_size=voxel_size) for part in dataset)
    return replace(dataset, train=train, validation=validation, test=test)


def at_hand(name_or_path: str | Path) -> bool:
    """Return whether there is a data set of a name or path that loads without a download."""
    if is_simulated(name_or_path):
        return True
    try:
        _find(name_or_path, download=False)
    except (ValueError, FileNotFoundError):
        return False
    return True


def load_image(name_or_path: str | Path, **image: Unpack[Reading]) -> tuple[NDArray[np.bool_], str, Phase]:
    """Return a whole image, bool [depth, height, width], True = pore, the name of its data set and what is pore in it.

    Args:
        name_or_path: a path, or the name of a file (or of a folder with one image) where `load` looks for it.
        image: see `Reading`.

    Raises:
        FileNotFoundError: if a path leads nowhere.
        ValueError: if it is not one image.
    """
    if is_simulated(name_or_path):
        raise ValueError(f"{name_or_path} is a set of simulated volumes: give the image of one large volume")
    path = _find(name_or_path)
    if _is_published(path):
        raise ValueError(f"{path.name} is a folder of volumes: give the image of one large volume")
    name = _safe_name(_stem(path))
    options = _of_rock(name_or_path, path, image)
    voxels, phase = read_phase(path, **options)
    if phase.outside:
        raise ValueError(f"{path.name}: expected an image of nothing but sample, {phase}: crop it to the sample")
    return voxels, name, checked(_with_unit(phase, image, options), name)


def true_spheres(name: str) -> Spheres:
    """Return the spheres that the test volumes of a built-in data set are made of; ``owner`` is a volume's index.

    Where the law has a stretch, they are stretched along the depth and have no single radius.

    Raises:
        ValueError: if no built-in data set has that name.
    """
    found = simulator(name)
    if found is None:
        raise ValueError(f"no built-in data set is called {name!r}; there are {', '.join(NAMES)}")
    law, edge = found
    density, rng = _strata(law, edge, 1)
    return draw_spheres(density, law, rng, (edge, edge, edge))


def _built_in(law: str, edge: int) -> Dataset:
    """Return the data set of a law: a volume in each stratum of the densities for two parts, another for the test."""
    name = law if edge == EDGE else f"{law}-{edge}"
    drawn = []
    for part in range(2):
        density, rng = _strata(law, edge, part)
        drawn.append(Volumes(simulate(density, law, rng, (edge, edge, edge)), density, VOXEL_SIZE, name))
    pool, test = drawn
    chosen = _one_of_each(8, pool.density, _split_rng())
    usual = None if edge == EDGE else _built_in(law, EDGE)
    return Dataset(pool[~chosen], pool[chosen], test, name, "factor", usual=usual)


def _strata(law: str, edge: int, part: int) -> tuple[NDArray[np.float64], np.random.Generator]:
    """Return one density in each stratum of (0, 1), to three decimals, in random order, and the source in use."""
    size = _SET_SIZE if edge <= EDGE else _SET_SIZE_OF_LARGE
    seeds = [_SEED, NAMES.index(law), part] + ([] if edge == EDGE else [edge])
    rng = np.random.Generator(np.random.PCG64(seeds))
    strata = (np.arange(size) + rng.random(size)) / size
    return np.clip(np.round(strata, 3), 0.001, 0.999)[np.argsort(rng.random(size), kind="stable")], rng


def _from_folder(folder: Path, skip_bad: bool) -> Dataset:
    volumes, skipped = read_folder(folder, skip_bad=skip_bad)
    for message in skipped:
        _logger.warning("left out %s", message)
    return _split(replace(volumes, name=_safe_name(volumes.name)), "factor", f"{folder}")


def _from_set(found: Segmented, name: str) -> Dataset:
    porosity = found.voxels.mean(axis=(1, 2, 3))
    density = porosity if found.density is None else found.density
    volumes, said = Volumes(found.voxels, density, name=name), ""
    if found.outside is not None:
        touches = np.asarray(found.outside.any(axis=(1, 2, 3)))
        volumes, said = volumes[~touches], _left_out(touches, "volumes", name)
    return replace(_split(volumes, "porosity" if found.density is None else "factor", name), phase=said)


def _left_out(touches: NDArray[np.bool_], what: str, name: str) -> str:
    """Return how many volumes are left out because they touch what is outside the sample.

    Raises:
        ValueError: if none are left.
    """
    if touches.all():
        raise ValueError(f"{name}: all {len(touches)} {what} touch what is outside the sample: use a smaller --block")
    return f"{np.count_nonzero(touches)} of {len(touches)} {what} touch the outside and are left out"


def _split(volumes: Volumes, kind: DensityKind, place: str) -> Dataset:
    """Return volumes in three parts that are spread over density alike."""
    if len(volumes) < 3:
        raise ValueError(f"a data set needs at least 3 volumes, {place} has {len(volumes)}; add files")
    rng = _split_rng()
    in_test = _one_of_each(4, volumes.density, rng)
    rest = volumes[~in_test]
    in_validation = _one_of_each(5, rest.density, rng)
    return Dataset(rest[~in_validation], rest[in_validation], volumes[in_test], volumes.name, kind)


def _from_image(
    volume: NDArray[np.bool_], name: str, block: int, along: Axis | None, outside: NDArray[np.bool_] | None = None
) -> Dataset:
    """Return the blocks of an image in three parts; ``phase`` says how many are left out.

    Blocks of another edge than usual make a data set of another name.
    """
    axis = int(np.argmax(volume.shape)) if along is None else AXES.index(along)
    layers = volume.shape[axis] // block if 1 <= block <= min(volume.shape) else 0
    if layers < 3:
        largest = min(volume.shape[axis] // 3, *volume.shape)
        advice = f"use a block between 1 and {largest}" if largest else "use a larger image"
        where = f"the {along or 'longest'} axis of an image of {volume.shape}"
        raise ValueError(f"block {block} leaves fewer than 3 layers along {where}: {advice}")
    ends, usual = _ends(layers, block), None
    if block != EDGE:
        if _ends(volume.shape[axis] // EDGE, EDGE)[2] <= ends[2]:
            with contextlib.suppress(ValueError):  # too few, or all touch the outside
                usual = _from_image(volume, name, EDGE, AXES[axis], outside)
        name = f"{name}-{block}"
    parts, touching = [], []
    for part, (start, stop) in zip(("training", "validation", "test"), itertools.pairwise(ends), strict=True):
        slab = np.arange(start, stop)
        voxels = blocks(np.take(volume, slab, axis=axis), block)
        if outside is not None:
            touches = np.asarray(blocks(np.take(outside, slab, axis=axis), block).any(axis=(1, 2, 3)))
            _left_out(touches, f"{part} blocks", name)
            voxels = voxels[~touches]
            touching.append(touches)
        parts.append(Volumes(voxels, voxels.mean(axis=(1, 2, 3)), name=name))
    said = _left_out(np.concatenate(touching), "blocks", name) if touching else ""
    return Dataset(parts[0], parts[1], parts[2], name, "porosity", said, usual)


def _ends(layers: int, block: int) -> NDArray[np.int64]:
    """Return where the three parts of an image begin, and where the last ends, in voxels, int64 [4]."""
    held_out = max(1, layers // 4)
    return np.array([0, layers - 2 * held_out, layers - held_out, layers], dtype=np.int64) * block


def _find(name_or_path: str | Path, download: bool = True) -> Path:
    """Return the existing file or folder: the path as it is, else in ``./data``, else in ``data/`` of a clone.

    A folder that holds one image and no published files stands for the image. Where there is none of that name, a rock
    of that name is fetched, unless there is to be no download.
    """
    text = str(name_or_path)
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(f"there is no folder {text!r}: {error}; give an existing path") from error
    tried = [path]
    if isinstance(name_or_path, str) and path.name == text and not text.startswith((".", "~")):
        is_clone = (_HERE.parent / "pyproject.toml").is_file()
        tried += [folder / text for folder in (Path("data"), _HERE)[: 1 + is_clone]]
    found = next((place for place in tried if text and place.exists()), None)
    rock = rocks().get(text) if found is None and len(tried) > 1 else None
    if rock is not None and (download or rock.file.is_file()):
        return fetch(rock)
    if found is None:
        places = "".join(f", or {place}" for place in tried[1:])
        known = ", ".join([*NAMES, *rocks()])
        message = f"there is no data set, file or folder {text!r}{places}: use one of {known}, or an existing path"
        is_name = len(tried) > 1 and tried[0].suffix.lower() not in SUFFIXES
        raise ValueError(message) if is_name else FileNotFoundError(message)
    if found.is_dir() and not any(found.glob("*.npy")):
        images = [file for file in found.iterdir() if is_image(file.name, SUFFIXES)]
        found = images[0] if len(images) == 1 else found
    return found


def _of_rock(name_or_path: str | Path, path: Path, image: Reading) -> Reading:
    """Return the options of an image, with what is on record for a rock that was asked for by name.

    The label of pores and the voxel size of its file in the user's cache stand where no other is asked for.
    """
    rock = rocks().get(str(name_or_path))
    if rock is None or path != rock.file:
        return image
    found = image.copy()
    if rock.pore is not None and image.get("pore") is None and image.get("threshold") is None:
        found["pore"] = rock.pore
    if image.get("voxel_size") is None:
        found["voxel_size"] = rock.voxel_size
    return found


def _with_unit(phase: Phase, asked: Reading, options: Reading) -> Phase:
    """Return a phase with the unit of its voxel where that is on record for a rock, which is micrometres."""
    on_record = asked.get("voxel_size") is None and options.get("voxel_size") is not None
    return replace(phase, voxel=f"{phase.voxel} µm") if on_record else phase


def _is_published(path: Path) -> bool:
    """Return whether a path is a folder for the published format: one that holds no images, or .npy of other names."""
    if not path.is_dir() or is_zarr(path):
        return False
    files = [file for file in path.iterdir() if is_image(file.name, (*SUFFIXES, *SLICES))]
    arrays = [file for file in files if file.suffix.lower() == ".npy"]
    return not files or any(not WRITTEN.fullmatch(file.name) or file.name.startswith(PUBLISHED) for file in arrays)


def _stem(path: Path) -> str:
    """Return a file's name without all known suffixes, a folder's name as it is."""
    stem, is_folder = path.name, path.is_dir() and not is_zarr(path)
    while not is_folder and stem != Path(stem).stem and Path(stem).suffix.lower() in SUFFIXES:
        stem = Path(stem).stem
    return path.stem if not is_folder and stem == path.name else stem


def _safe_name(stem: str) -> str:
    """Return a name of plain letters, digits, dots and dashes that no built-in data set has."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "volumes"
    return f"{name}-files" if is_simulated(name) else name


def _one_of_each(size: int, density: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask of one volume drawn from each group of about ``size`` neighbours in order of density."""
    groups = np.array_split(np.argsort(density, kind="stable"), max(1, round(len(density) / size)))
    chosen = np.zeros(len(density), dtype=np.bool_)
    for group, u in zip(groups, rng.random(len(groups)), strict=True):
        chosen[group[int(u * len(group))]] = True
    return chosen


def _split_rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(_SPLIT_SEED))
