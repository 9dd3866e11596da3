"""Segmented images of porous media, read from files and cut into disjoint blocks."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, TypedDict, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import packed
from ._decode import EXIT, EXPLAINED, KEYED, MISSING, TRAILER, Read, Voxel, voxel_of
from .archives import SLICES, attached, check_size, from_npz, from_tar, from_zip, gunzip, is_image, is_zarr, zip_of
from .packed import DEFLATE_RATIO, UNPACKING, load_samples, read_arrays, read_npy
from .phase import Phase, Pore, Threshold, outside_of, pore_phase
from .raw import read_raw
from .seed_format import PUBLISHED, read_file
from .several import Pick, checked_pick, in_words, one_of, volumes_of

DECODED = {".tif": "tiff", ".tiff": "tiff", ".mat": "mat", ".h5": "hdf5", ".hdf5": "hdf5", ".nc": "netcdf"}
DECODED |= {".nii": "nifti", ".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "mha", ".mhd": "mha"}
DECODED |= {".vti": "vti", ".zarr": "zarr"}
"""Kinds of file that are read in a process of their own, by the ends of their names."""
PLAIN = (*DECODED, ".npy", ".npz", ".raw")
PACKED = (".zip", ".gz", ".tgz", ".tar")
SUFFIXES = (*PLAIN, *PACKED)
"""Ends of the names of files that `read_volume` reads, in any case."""
ROUNDING = 0.01
"""Share by which edges of a voxel may differ, since files round them."""
DECODING_SECONDS = 300
"""Processor time that a reader in a process of its own may take."""
_SCRIPT = Path(__file__).with_name("_decode.py")
_ADVICE = {
    "tiff": "save it again as an uncompressed multi-page TIFF",
    "slices": "save the slices again as uncompressed TIFF",
    "mat": "save one array with -v7",
    "hdf5": "save one dataset of numbers again",
    "netcdf": "save one variable of numbers again",
    "nifti": "save it again as one .nii file",
    "zarr": "save one array of numbers again",
    "nrrd": "save it again with gzip or raw encoding",
    "mha": "save it again as one .mha file",
    "vti": "save a VTK image with one array again",
}
_EXTRAS = {"vtkmodules": "view"}
WRITTEN = re.compile(r".+_\d{3,}_(?P<density>[01]\.\d{3})(_\d+x\d+x\d+_uint8)?\.[a-z0-9]+", re.ASCII | re.IGNORECASE)
"""Names of volumes in a folder, as ``porebench sample`` writes them."""
_logger = logging.getLogger(__name__)


class Reading(TypedDict, total=False):
    """Options of an image, for what its file does not say.

    Attributes:
        pore: value or values of pores, see `phase.pore_phase`.
        threshold: of a grey image, whose voxels at or below it are pore; "otsu" finds it.
        shape: depth, height and width in voxels, for ``.raw`` only (C order: width fastest).
        dtype: type of a voxel, such as "uint8" or ">u2", for ``.raw`` only.
        offset: bytes before the first voxel, for ``.raw`` only.
        key: name of the array in a file of several (``.npz``, ``.mat``, HDF5, NetCDF, Zarr, ``.vti``).
        pick: which of several channels, frames, one-hot phases or volumes, such as ``{"channel": 0}``; the voxels of a
            phase are the pores.
        outside: value or values of what is not the sample, around a cylindrical one for instance; NaN always is.
        voxel_size: edge of a voxel, in the user's unit of length, in place of what the file states.
        resample: whether voxels that are no cubes are made cubes, of their smallest edge, by the nearest voxel.
    """

    pore: Pore
    threshold: Threshold
    shape: tuple[int, int, int] | None
    dtype: DTypeLike | None
    offset: int
    key: str | None
    pick: Pick | None
    outside: Pore
    voxel_size: float | None
    resample: bool


@dataclass(frozen=True, eq=False)
class Segmented:
    """Volumes of a file, one or several, and the decision which voxels are pore.

    Attributes:
        voxels: bool [n, depth, height, width]; True = pore.
        density: float64 [n], None where the file states none.
        phase: the decision.
        voxel_size: edge of a voxel in the file's unit of length; 1 where it states none.
        outside: bool like ``voxels``, True where there is no sample; None where there is nothing but sample.
    """

    voxels: NDArray[np.bool_]
    density: NDArray[np.float64] | None
    phase: Phase
    voxel_size: float = 1.0
    outside: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class _Image:
    """Numbers of a file, densities and the size of a voxel if stated, and whether its format defines True as pore."""

    array: NDArray[np.generic]
    density: NDArray[np.float64] | None = None
    stated: bool = False
    voxel: Voxel = None


@dataclass(frozen=True)
class _Layout:
    """What an image's file may not say about its numbers; see `Reading`."""

    shape: tuple[int, int, int] | None = None
    dtype: DTypeLike | None = None
    offset: int = 0
    key: str | None = None
    pick: dict[str, int] = field(default_factory=dict)


def read_volume(path: str | Path, *, index: int | None = None, **options: Unpack[Reading]) -> NDArray[np.bool_]:
    """Return the pore phase of a segmented three-dimensional image, bool [depth, height, width], True = pore.

    Files: TIFF, ``.npy``, ``.npz``, ``.raw``, MATLAB, HDF5, NetCDF, NIfTI, NRRD, MetaImage, VTK image, each also in a
    ``.zip``, ``.tar`` or ``.gz``, which is unpacked in memory only; a folder or a ``.zip`` that is a Zarr store or has
    slices (TIFF, PNG, BMP, JPEG) in natural order; and all that ``porebench sample`` writes. Nothing in a file is ever
    run, and its size is known before memory is taken for it: at most about twice the larger of the file and the image,
    and no image of more than ``MAX_BYTES``. Readers that a hostile file can crash run in a process of their own.

    `phase.pore_phase` decides which voxels are pore; a doubtful decision is logged. `read_phase` returns it.

    Args:
        path: the file, or a folder of slices.
        index: which volume of a file that holds several.
        options: see `Reading`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read as one segmented three-dimensional image; says what to do.
        ImportError: if a package is missing, naming the extra.
    """
    voxels, phase = read_phase(path, index=index, **options)
    if phase.warning:
        _logger.warning("%s: %s", Path(path).name, phase)
    return voxels


def read_phase(
    path: str | Path, *, index: int | None = None, **options: Unpack[Reading]
) -> tuple[NDArray[np.bool_], Phase]:
    """Return the pore phase of an image as `read_volume` does, and the decision which voxels are pore."""
    found = read_set(path, **options)
    last = len(found.voxels) - 1
    if index is None and last:
        one = f"choose one with index, or --pick volume=NUMBER, 0 to {last}"
        raise ValueError(f"{Path(path).name}: holds {last + 1} volumes: {one}")
    if not 0 <= (index or 0) <= last:
        raise ValueError(f"{Path(path).name} holds volumes 0 to {last}, there is no {index}")
    voxels = found.voxels[index or 0]
    sample = True if found.outside is None else ~found.outside[index or 0]
    return voxels, replace(found.phase, porosity=float(voxels.mean(where=sample)))


def read_set(
    path: str | Path,
    *,
    pore: Pore = None,
    threshold: Threshold = None,
    shape: tuple[int, int, int] | None = None,
    dtype: DTypeLike | None = None,
    offset: int = 0,
    key: str | None = None,
    pick: Pick | None = None,
    outside: Pore = None,
    voxel_size: float | None = None,
    resample: bool = False,
) -> Segmented:
    """Return all volumes of a file or folder: one of an image, several of ``voxels`` [n, depth, height, width].

    Arguments are those of `Reading`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as in `read_volume`.
        ImportError: if a package is missing, naming the extra.
    """
    path, wanted = Path(path), checked_pick(pick)
    volume = wanted.pop("volume", None)
    layout = _Layout(shape, dtype, offset, key, wanted)
    if path.is_dir():
        image = _read_folder(path, layout)
    elif path.is_file():
        image = _read_path(path, layout)
    else:
        raise FileNotFoundError(f"there is no file {path}: give the path of an image ({', '.join(SUFFIXES)})")
    volumes, density = volumes_of(image.array, path.name), image.density
    if volume is not None:
        if volume >= len(volumes):
            raise ValueError(f"{path.name} holds the volumes 0 to {len(volumes) - 1}, there is no {volume}")
        volumes, density = volumes[volume : volume + 1], None if density is None else density[volume : volume + 1]
    if "phase" in wanted and pore is None and threshold is None:
        pore = 1
    if voxel_size is not None and not 0 < voxel_size < math.inf:
        raise ValueError(f"voxel_size must be a positive length, got {voxel_size}")
    voxel = image.voxel if voxel_size is None else voxel_of(voxel_size)
    volumes, edge, said = _cubic(volumes, voxel, path.name, resample=resample)
    without = outside_of(volumes, path.name, outside)
    inside = volumes if without is None else volumes[~without]
    found, phase = pore_phase(inside, path.name, pore=pore, threshold=threshold, stated=image.stated)
    phase = replace(phase, voxel=said, picked=in_words(pick))
    if without is None:
        return Segmented(found, density, phase, edge)
    mask = np.zeros(volumes.shape, dtype=np.bool_)
    mask[~without] = found
    return Segmented(mask, density, replace(phase, outside=float(without.mean())), edge, without)


def read_image(path: Path, *, key: str | None = None, pick: Pick | None = None) -> NDArray[np.generic]:
    """Return the array of an image file, or of a file of several volumes, as it is stored; errors as `read_volume`.

    Key and pick are those of `Reading`; there is no picking of a volume.
    """
    layout = _Layout(key=key, pick=checked_pick(pick))
    if is_zarr(path):
        return _read_folder(path, layout).array
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of an image ({', '.join(SUFFIXES)})")
    return _read_path(path, layout).array


def blocks(volume: ArrayLike, edge: int) -> NDArray[np.bool_]:
    """Return the disjoint cubic blocks, bool [n, edge, edge, edge], of a volume [depth, height, width], in C order.

    The edge is in voxels; what remains at the far sides is dropped.

    Raises:
        ValueError: if not a single block fits.

    Example:
        >>> blocks(np.ones((7, 6, 4), dtype=bool), 3).shape
        (4, 3, 3, 3)
    """
    whole = np.asarray(volume, dtype=np.bool_)
    if whole.ndim != 3:
        raise ValueError(f"volume must have shape [depth, height, width], got {whole.shape}")
    if not 1 <= edge <= min(whole.shape):
        allowed = f"between 1 and {min(whole.shape)} for a volume of {whole.shape}"
        raise ValueError(f"block edge must lie {allowed}, got {edge}")
    d, h, w = (length // edge for length in whole.shape)
    cut = whole[: d * edge, : h * edge, : w * edge].reshape(d, edge, h, edge, w, edge)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, edge, edge, edge).copy()


def decode(
    kind: str, stream: BinaryIO, size: int, name: str, key: str | None = None, pick: Mapping[str, int] | None = None
) -> Read:
    """Return the array of an image file, and its voxel, of ``size`` bytes, read in a process of its own that may crash.

    Memory and processor time of the process are limited. The stream, on disk or in memory, is at its beginning.

    Raises:
        ValueError: if the file cannot be read; says why and what to do.
        ImportError: if a package is missing, naming the extra.
    """
    limit = min(packed.MAX_BYTES, DEFLATE_RATIO * size)
    asked = [kind, str(limit), str(DECODING_SECONDS), key or "", json.dumps(pick or {})]
    command = [sys.executable, "-P", str(_SCRIPT), *asked]
    with tempfile.TemporaryFile() as copy, tempfile.TemporaryFile() as made:
        if isinstance(stream, io.BytesIO):
            copy.write(stream.getbuffer())
            copy.seek(0)
            stream = cast(BinaryIO, copy)
        done = subprocess.run(command, stdin=stream, stdout=made, stderr=subprocess.PIPE, check=False)  # noqa: S603 - our own script
        if done.returncode == 0:
            length = made.seek(-TRAILER, io.SEEK_END)
            voxel = json.loads(made.read())
            made.truncate(length)
            made.seek(0)
            return read_npy(cast(BinaryIO, made), length, name), voxel and (tuple(voxel[0]), voxel[1])
    told = done.stderr.decode(errors="replace").splitlines()[-1:]
    if done.returncode == MISSING and told:
        extra = _EXTRAS.get(told[0].split(".")[0], "readers")
        raise ImportError(f"{name}: needs {told[0]}: pip install 'porebench[{extra}]'", name=told[0])
    if done.returncode == EXPLAINED and told:
        raise ValueError(f"{name}: {told[0]}")
    reason = told[0] if done.returncode == EXIT and told else f"its reader crashed or took over {DECODING_SECONDS} s"
    raise ValueError(f"{name}: cannot be read as a {kind} file ({reason}); {_ADVICE[kind]}")


def _read_path(path: Path, layout: _Layout) -> _Image:
    """Return what is in a file."""
    suffix = path.suffix.lower()
    if suffix == ".npy" and path.name.startswith(PUBLISHED):
        return _Image(read_file(path), stated=True)
    if suffix == ".npz" and layout == _Layout() and (own := _read_own(path)) is not None:
        return own
    with attached(path) if suffix in {".mhd", ".nhdr"} else path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        array, voxel = _read_image(stream, size, path.name, layout)
    by_name = suffix == ".vti" or WRITTEN.fullmatch(path.name) is not None
    return _Image(array, stated=by_name and array.dtype == np.bool_, voxel=voxel)


def _read_own(path: Path) -> _Image | None:
    """Return volumes of a file of ``write_volumes`` or ``save_samples``, None for another kind of file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
        if not names & {"packed.npy", "voxels.npy"}:
            return None
        arrays = read_arrays(path)
    except (*UNPACKING, OSError):
        return None  # the reader of all .npz files says what is wrong
    if "packed" in arrays:
        samples = load_samples(path)
        return _Image(samples.voxels, samples.density, stated=True, voxel=voxel_of(samples.voxel_size))
    voxels, density = arrays.get("voxels"), arrays.get("density")
    if voxels is None or voxels.ndim != 4 or voxels.dtype != np.bool_:
        return None
    fits = density is not None and density.shape == voxels.shape[:1] and density.dtype.kind == "f"
    return _Image(voxels, density if fits else None, stated=True, voxel=voxel_of(arrays.get("voxel_size")))


def _read_folder(folder: Path, layout: _Layout) -> _Image:
    """Return the image that a folder is or holds, its slices as one, or volumes as ``porebench sample`` writes them."""
    if is_zarr(folder):
        parts = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
        return _decode_folder("zarr", parts, folder, layout)
    files = sorted(file for file in folder.iterdir() if file.is_file() and is_image(file.name, (*SUFFIXES, *SLICES)))
    headers = [file for file in files if file.suffix.lower() in {".mhd", ".nhdr"}]
    if len(headers) == 1 or len(files) == 1:
        return _read_path((headers or files)[0], layout)
    written = [match for file in files if (match := WRITTEN.fullmatch(file.name))]
    if files and len(written) == len(files):
        check_size(sum(file.stat().st_size for file in files), folder.name)
        images = [_read_path(file, layout) for file in files]
        shapes = {image.array.shape for image in images}
        if len(shapes) > 1:
            raise ValueError(
                f"{folder.name}: expected volumes of one shape, found {sorted(shapes)}; move some elsewhere"
            )
        density = np.array([float(match["density"]) for match in written])
        stated = all(image.stated for image in images)
        return _Image(np.stack([image.array for image in images]), density, stated, images[0].voxel)
    if len({file.suffix.lower() for file in files}) == 1 and is_image(files[0].name, SLICES):
        return _decode_folder("slices", files, folder, layout)
    found = ", ".join(file.name for file in files[:4]) or "none"
    wanted = "one image, slices of one kind, or volumes as porebench sample writes them"
    raise ValueError(f"{folder.name}: expected {wanted}, found {found}; give the path of one file")


def _decode_folder(kind: Literal["slices", "zarr"], files: Sequence[Path], folder: Path, layout: _Layout) -> _Image:
    """Return the image that files of a folder are together."""
    _refuse_layout(layout, f"{folder.name}, a folder of {kind}", None if kind in KEYED else layout.key)
    with tempfile.TemporaryFile() as archive:
        size = zip_of(files, folder, cast(BinaryIO, archive))
        array, voxel = decode(kind, cast(BinaryIO, archive), size, folder.name, layout.key, layout.pick)
    return _Image(array, voxel=voxel)


def _read_image(stream: BinaryIO, size: int, name: str, layout: _Layout) -> Read:
    """Return array and voxel in an open image file of ``size`` bytes, of the kind that its name says."""
    suffix = PurePosixPath(name).suffix.lower()
    check_size(size, name)
    if suffix in PACKED:
        return _read_packed(stream, size, name, layout)
    if suffix == ".raw":
        return one_of(read_raw(stream, size, name, layout.shape, layout.dtype, layout.offset), layout.pick, name), None
    has_arrays = suffix == ".npz" or DECODED.get(suffix) in KEYED
    _refuse_layout(layout, name, None if has_arrays else layout.key)
    if suffix == ".npz":
        content, inner = from_npz(stream, name, layout.key)
        return one_of(read_npy(io.BytesIO(content), len(content), f"{name}/{inner}"), layout.pick, name), None
    if suffix == ".npy":
        return one_of(read_npy(stream, size, name), layout.pick, name), None
    if suffix not in DECODED:
        raise ValueError(f"{name}: expected a file that ends in one of {', '.join(SUFFIXES)}; convert the image")
    return decode(DECODED[suffix], stream, size, name, layout.key, layout.pick)


def _read_packed(stream: BinaryIO, size: int, name: str, layout: _Layout) -> Read:
    """Return array and voxel of the only image in an open archive or packed file."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in {".gz", ".tgz"}:
        content = gunzip(stream, size, name)
        inner = name[: -len(suffix)] + (".tar" if suffix == ".tgz" else "")
        if not is_image(inner, (*PLAIN, ".tar")):
            raise ValueError(f"{name}: expected a packed image such as a.raw.gz or a.tar.gz; rename or convert it")
        return _read_image(io.BytesIO(content), len(content), inner, layout)
    member = (from_zip if suffix == ".zip" else from_tar)(stream, name, PLAIN)
    if isinstance(member, str):
        _refuse_layout(layout, name, None if member in KEYED else layout.key)
        stream.seek(0)
        return decode(member, stream, size, name, layout.key, layout.pick)
    return _read_image(io.BytesIO(member[0]), len(member[0]), f"{name}/{member[1]}", layout)


def _refuse_layout(layout: _Layout, name: str, key: str | None) -> None:
    """Raise ValueError where options do not belong to a kind of file."""
    if layout.shape is not None or layout.dtype is not None or layout.offset:
        raise ValueError(f"{name}: shape, dtype and offset describe .raw files only; this format states its own")
    if key is not None:
        raise ValueError(f"{name}: holds one array, so there is no {key!r} to choose; leave key (--key) out")


def _cubic(
    volumes: NDArray[np.generic], voxel: Voxel, name: str, *, resample: bool
) -> tuple[NDArray[np.generic], float, str]:
    """Return volumes of cubic voxels, the edge of a voxel, and what is known of it in words.

    Raises:
        ValueError: if voxels are no cubes, which the descriptors take them for, and are not to be resampled.
    """
    if voxel is None:
        return volumes, 1.0, ""
    edges, unit = voxel
    smallest = min(edges)
    said = f"{smallest:.5g}{unit and ' '}{unit}"
    if max(edges) <= smallest * (1 + ROUNDING):
        return volumes, edges[-1], said
    stated = " × ".join(f"{edge:.5g}" for edge in edges) + f"{unit and ' '}{unit} (depth × height × width)"
    if not resample:
        raise ValueError(
            f"{name}: expected cubic voxels, got {stated}; give --resample to make them cubes of {said} by the nearest "
            "voxel, or --voxel-size EDGE if the file is wrong"
        )
    lengths = [round(n * edge / smallest) for n, edge in zip(volumes.shape[1:], edges, strict=True)]
    check_size(len(volumes) * math.prod(lengths) * volumes.itemsize, name)
    for axis, (length, n) in enumerate(zip(lengths, volumes.shape[1:], strict=True), start=1):
        volumes = volumes.take(((np.arange(length) + 0.5) * (n / length)).astype(np.int64), axis)
    return volumes, smallest, f"{said}, resampled from {stated}"
