"""Image readers that a hostile file could crash or make swell, run by ``images.decode`` in a process of their own.

``python _decode.py KIND LIMIT SECONDS [KEY [PICK]]`` reads a file from standard input and writes its array to standard
output as ``.npy``, with the size of a voxel as JSON in `TRAILER` bytes behind it, or ends with one line on standard
error and an exit code: 3 for a file that cannot be read, 4 for a missing package, whose name is the line, and 5 for a
readable file that is no single image, which the line explains in full. LIMIT is the largest image in bytes, SECONDS
the processor time, KEY the array of a file with several, PICK what is picked along other axes than depth, height and
width, as JSON such as ``{"frame": 0}``.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

EXIT, MISSING, EXPLAINED = 3, 4, 5
OWN_BYTES = 2**30
"""Memory for the libraries themselves."""
HDF5 = b"\x89HDF\r\n\x1a\n"
NIFTI_2 = 540
"""Length of the header of NIfTI-2, which is its first number."""
MET = {"UCHAR": "u1", "CHAR": "i1", "USHORT": "u2", "SHORT": "i2", "UINT": "u4", "INT": "i4"}
MET |= {"ULONG": "u4", "LONG": "i4", "FLOAT": "f4", "DOUBLE": "f8"}
HEADER_LINES = 1000
TRAILER = 256
METRES = {"nm": 1e-9, "µm": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "inch": 0.0254}
UNITS = {"um": "µm", "μm": "µm", "micron": "µm", "microns": "µm", "micrometer": "µm", "nanometer": "nm", "pixel": ""}
"""Other names of units of length; a pixel is none."""
HDF5_SIZES = ("element_size_um", "voxel_size", "voxel_size_xyz")
"""Attributes with the size of a voxel: of ImageJ and ilastik, of this suite, and of tomographies in NetCDF."""
NIFTI_UNITS = {"meter": "m", "unknown": ""}
ZARR = (".zarray", ".zgroup", "zarr.json")
"""Names of the files that make a folder a Zarr store."""
CODECS = {"blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "shuffle", "delta", "packbits", "bytes", "transpose"}
CODECS |= {"crc32", "crc32c", "adler32", "fletcher32", "sharding_indexed", "fixedscaleoffset", "quantize", "bitround"}
"""Codecs of Zarr arrays that are run: that called pickle is not among them."""
PICKED = {"frame": "TNP", "channel": "CSPN", "phase": "PCSN"}
"""What can be picked, with the axes that it may lie along, the likeliest first: those of a TIFF, or of `axes_of`."""
NAMED = {"T": "frame", "C": "channel"}
PHASES = 16
"""Most phases of an array that is taken for a one-hot one."""

Voxel = tuple[tuple[float, float, float], str] | None
"""Edges of a voxel along depth, height and width, and their unit, "" where it is not known."""
Read = tuple[NDArray[np.generic], Voxel]


class NotOneImageError(ValueError):
    """A file that is no single image, with what to do about it."""


def voxel_of(edges: Any, units: Any = "") -> Voxel:
    """Return the size of a voxel from three numbers, or one, and their unit or units; None where it is not known.

    Edges of one without a unit are what files say that know none.
    """
    try:
        lengths = [float(edge) for edge in np.broadcast_to(np.asarray(edges, dtype=np.float64).ravel(), 3)]
        names = [units] * 3 if isinstance(units, str) else [str(unit) for unit in units]
    except (ValueError, TypeError):
        return None
    named = [name.strip().strip('"').replace("\\u00B5", "µ") for name in names]
    known = [UNITS.get(name.lower(), name)[:12] for name in named]
    if len(known) != 3 or not all(0 < edge < math.inf for edge in lengths) or (set(lengths), set(known)) == ({1}, {""}):
        return None
    if len(set(known)) > 1:
        if not set(known) <= set(METRES):
            return None
        lengths = [edge * METRES[unit] / METRES[known[-1]] for edge, unit in zip(lengths, known, strict=True)]
    return (lengths[0], lengths[1], lengths[2]), known[-1]


def noted_voxel(facts: Mapping[str, Any]) -> Voxel:
    """Return the size of a voxel that one of the attributes in `HDF5_SIZES` states."""
    name = next((name for name in HDF5_SIZES if name in facts), "")
    edges = np.ravel(facts.get(name, []))
    edges = edges[::-1] if name.endswith("_xyz") else edges
    unit = "µm" if name.endswith("_um") else facts.get("voxel_unit", "")
    return voxel_of(edges, unit.decode("latin-1") if isinstance(unit, bytes) else str(unit))


def axes_of(array: NDArray[np.generic]) -> str:
    """Return what the axes of an array without names seem to be, a letter each.

    N are volumes, C channels, P one-hot phases, then come Z, Y and X.
    """
    shape = array.shape
    if array.ndim not in {4, 5} or 0 in shape:
        return "ZYX"[: array.ndim] if array.ndim <= 3 else "?" * array.ndim
    if shape[-1] <= 4 < min(shape[-4:-1]):
        return "NZYXC"[5 - array.ndim :]
    return "NCZYX" if array.ndim == 5 else "PZYX" if is_one_hot(array) else "NZYX"


def is_one_hot(array: NDArray[np.generic]) -> bool:
    """Return whether numbers along the first axis are shares of phases, which add up to one in each voxel."""
    if array.dtype.kind == "b" or len(array) > PHASES:
        return False
    total = array.sum(axis=0)
    return bool(np.allclose(total, 1, atol=1e-3) if array.dtype.kind == "f" else np.all(total == 1))


def squeezed(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an array of more than three axes without those of length one."""
    return array.reshape([length for length in array.shape if length > 1]) if array.ndim > 3 else array


def picked(array: NDArray[np.generic], axes: str, pick: Mapping[str, int]) -> tuple[NDArray[np.generic], str]:
    """Return what is picked along some axes of an array, for a phase the mask of its voxels, and the axes left.

    Raises:
        ValueError: if there is no such axis, or it is shorter.
    """
    for name, index in pick.items():
        place = next((axes.index(letter) for letter in PICKED[name] if letter in axes), None)
        if place is None:
            shape = " × ".join(map(str, array.shape))
            raise NotOneImageError(f"it has no {name}s to pick from, its shape is {shape}: leave {name} out of --pick")
        if not 0 <= index < array.shape[place]:
            raise NotOneImageError(f"it has the {name}s 0 to {array.shape[place] - 1}, there is no {index}")
        chosen: NDArray[Any] = np.asarray(array.take(index, place))
        array = np.asarray((chosen == array.max(axis=place)) & (chosen > 0)) if name == "phase" else chosen
        axes = axes[:place] + axes[place + 1 :]
    return array, axes


def one_of_unnamed(array: NDArray[np.generic], pick: Mapping[str, int]) -> NDArray[np.generic]:
    """Return what is picked of an array whose axes have no names; errors as for `picked`."""
    if not pick:
        return array
    whole = squeezed(array)
    return picked(whole, axes_of(whole), pick)[0]


def tiff_voxel(tiff: Any) -> Voxel:
    """Return the size of a voxel that ImageJ or OME note in a TIFF; other TIFFs state no depth of a page."""
    if tiff.is_ome:
        stated = dict(re.findall(r'\bPhysicalSize([XYZ](?:Unit)?)\s*=\s*"([^"]{1,40})"', tiff.ome_metadata or ""))
        return voxel_of([stated.get(axis) for axis in "ZYX"], [stated.get(f"{axis}Unit", "µm") for axis in "ZYX"])
    facts, tags = tiff.imagej_metadata or {}, tiff.pages[0].tags
    if "spacing" not in facts or not {"XResolution", "YResolution"} <= {tag.name for tag in tags}:
        return None
    counts = [tags[name].value for name in ("YResolution", "XResolution")]
    if not all(len(count) == 2 and count[0] for count in counts):
        return None
    return voxel_of([facts["spacing"], *(per / pixels for pixels, per in counts)], str(facts.get("unit", "")))


def read_tiff(stream: BinaryIO, limit: int, pick: Mapping[str, int] | None = None) -> Read:
    """Return array and voxel of a TIFF; series of equal height, width and type, as left by appending, are one stack.

    Frames and channels are picked by the names that the file gives its axes. Pages that are not compressed hold no
    more than the file. Pages of one bit become black, 0, and white, 255, which is the same picture in eight bits.
    """
    import tifffile  # noqa: PLC0415 - each kind of file imports its own library

    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        series = tiff.series
        first, voxel = series[0], tiff_voxel(tiff)
        if len({(each.shape[-2:], each.dtype, each.axes[-2:]) for each in series}) != 1:
            raise NotOneImageError(f"expected pages of one size and type, found {len(series)} kinds")
        frames: list[Any] = [frame.keyframe for each in series for frame in each.pages if frame is not None]
        packed = any(frame.compression != 1 for frame in frames)
        voxels = sum(math.prod(each.shape) for each in series)
        bits = max(frame.bitspersample for frame in frames)
        check(voxels * np.dtype(first.dtype).itemsize, limit)
        if not packed:
            check(math.ceil(voxels * bits / 8), size)
        try:
            arrays = [np.asarray(each.asarray()) for each in series]
        except ValueError as error:
            if "imagecodecs" in str(error):
                raise ImportError("imagecodecs") from error
            raise
    pick = pick or {}
    for place, each in enumerate(arrays):
        arrays[place], axes = picked(each, series[place].axes, pick)
        if len(axes.removesuffix("S")) > 3 and any(axis in axes for axis in NAMED):
            raise NotOneImageError(several(axes, arrays[place].shape, pick))
        if axes.endswith("S"):
            arrays[place] = one_channel(arrays[place])
    array = arrays[0]
    if len(arrays) > 1:
        array = np.concatenate([each.reshape(-1, *each.shape[-2:]) for each in arrays])
    if bits == 1:
        inverted = frames[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE
        return np.where(array.astype(np.bool_) != inverted, 255, 0).astype(np.uint8), voxel
    return array, voxel


def several(axes: str, shape: tuple[int, ...], pick: Mapping[str, int]) -> str:
    """Return what frames and channels there are beside what is picked already, and how one of them is picked."""
    counts = {NAMED[axis]: length for axis, length in zip(axes, shape, strict=True) if axis in NAMED}
    held = " and ".join(f"{length} {name}s" for name, length in counts.items())
    one = ",".join(f"{name}={index}" for name, index in {**pick, **dict.fromkeys(counts, 0)}.items())
    return f"it holds {held} (axes {axes}, {' × '.join(map(str, shape))}): pick one with --pick {one}"


def read_slices(stream: BinaryIO, limit: int, pick: Mapping[str, int] | None = None) -> Read:
    """Return the stack of the pictures in a .zip, in natural order of their names."""
    with zipfile.ZipFile(stream) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and is_picture(entry.filename)]
        if len({entry.filename.lower() for entry in entries}) != len(entries):
            raise ValueError("two slices have the same name")
        entries.sort(key=lambda entry: natural(entry.filename))
        stack: NDArray[np.generic] | None = None
        for index, entry in enumerate(entries):
            check(entry.file_size, limit)
            picture = read_picture(archive.read(entry), entry.filename, limit, pick or {})
            if stack is None:
                check(len(entries) * picture.nbytes, limit)
                stack = np.empty((len(entries), *picture.shape), picture.dtype)
            if picture.shape != stack.shape[1:] or picture.dtype != stack.dtype:
                shown = f"{picture.shape} {picture.dtype}, the first is {stack.shape[1:]} {stack.dtype}"
                raise NotOneImageError(f"slice {PurePosixPath(entry.filename).name} is {shown}")
            stack[index] = picture
    if stack is None:
        raise NotOneImageError("it holds no slices")
    return stack, None


def read_picture(content: bytes, name: str, limit: int, pick: Mapping[str, int]) -> NDArray[np.generic]:
    """Return one two-dimensional slice; black and white in one bit are 0 and 255."""
    if PurePosixPath(name).suffix.lower() in {".tif", ".tiff"}:
        array = read_tiff(io.BytesIO(content), limit, pick)[0]
    else:
        from PIL import Image  # noqa: PLC0415 - each kind of file imports its own library

        with Image.open(io.BytesIO(content)) as opened:
            check(4 * opened.width * opened.height, limit)
            array = np.asarray(opened.convert("L") if opened.mode == "1" else opened)
        array, axes = picked(array, "YXS"[: array.ndim], pick)
        if "S" in axes:
            array = one_channel(array)
    if array.ndim != 2:
        raise NotOneImageError(f"slice {PurePosixPath(name).name} has shape {array.shape}, expected height and width")
    return array


def one_channel(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the first of colour channels that are alike; a constant fourth one is opacity."""
    colours = array[..., :1] if array.shape[-1] in (1, 2) else array[..., :3]
    opacity = array[..., colours.shape[-1] :]
    if np.any(colours != colours[..., :1]) or (opacity.size and opacity.min() != opacity.max()):
        count = array.shape[-1]
        raise NotOneImageError(f"it is in colour, {count} channels that differ: pick one with --pick channel=0")
    return colours[..., 0]


def is_picture(name: str) -> bool:
    """Return whether a file in an archive is a slice; the suffixes are those of ``archives.SLICES``."""
    path = PurePosixPath(name)
    visible = "__MACOSX" not in path.parts and not path.name.startswith(".")
    return visible and path.suffix.lower() in {".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg"}


def natural(name: str) -> list[int | str]:
    """Return a key by which ``slice10`` comes after ``slice9``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def read_mat(stream: BinaryIO, limit: int, key: str = "") -> Read:
    """Return a three-dimensional array of a MATLAB file of any version; a ``logical`` one is boolean."""
    head = stream.read(512 + len(HDF5))
    stream.seek(0)
    if HDF5 in (head[:8], head[512:]):
        return read_hdf5(stream, limit, key)
    from scipy import io as scipy_io  # noqa: PLC0415 - each kind of file imports its own library

    found = {name: (shape, kind) for name, shape, kind in scipy_io.whosmat(stream)}
    structs = [name for name, (_, kind) in found.items() if kind == "struct"]
    shapes = {name: shape for name, (shape, _) in found.items() if name not in structs}
    stream.seek(0)
    if structs and key not in shapes and (key or not any(len(shape) >= 3 for shape in shapes.values())):
        loaded = scipy_io.loadmat(stream, variable_names=structs, mat_dtype=True)  # which keeps logical as boolean
        arrays = {path: array for name in structs for path, array in in_struct(name, loaded[name])}
        array = arrays[choose({path: array.shape for path, array in arrays.items()}, key)]
        check(array.nbytes, limit)
        return array, None
    chosen = choose(shapes, key)
    shape, kind = found[chosen]
    check(math.prod(shape), limit)
    array = np.asarray(scipy_io.loadmat(stream, variable_names=[chosen])[chosen])
    return array.astype(np.bool_) if kind == "logical" else array, None


def in_struct(path: str, struct: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of numbers in a MATLAB struct by their paths, such as ``rock/image`` or ``rocks(2)/image``."""
    for place, each in enumerate(struct.ravel(), start=1):
        for name in struct.dtype.names or ():
            inside = f"{path}/{name}" if struct.size == 1 else f"{path}({place})/{name}"
            value = np.asarray(each[name])
            if value.dtype.names is not None:
                yield from in_struct(inside, value)
            elif value.dtype.kind in "biuf":
                yield inside, value


def read_hdf5(stream: BinaryIO, limit: int, key: str = "") -> Read:
    """Return a three-dimensional dataset of an HDF5 file, which NetCDF-4 and MATLAB from version 7.3 on are too.

    Nothing outside the file is followed. MATLAB's axes come in its own order.
    """
    import h5py  # noqa: PLC0415 - each kind of file imports its own library

    with h5py.File(stream, "r") as file:
        found: dict[str, Any] = {}

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = item

        file.visititems(note)
        chosen = found[choose({name: item.shape or () for name, item in found.items()}, key)]
        if chosen.external or chosen.is_virtual:
            raise NotOneImageError("its voxels lie in other files: save them into this one")
        check(chosen.size * max(1, chosen.dtype.itemsize), limit)
        array = np.asarray(chosen[()])
        facts = {**file.attrs, **chosen.attrs}
    matlab = facts.get("MATLAB_class")
    if matlab is not None:
        return (array.astype(np.bool_) if matlab == b"logical" else array).T, None
    return array, noted_voxel(facts)


def read_netcdf(stream: BinaryIO, limit: int, key: str = "") -> Read:
    """Return a variable of a NetCDF file: of version 4, which is an HDF5 file, or of version 3."""
    is_classic = stream.read(3) == b"CDF"
    stream.seek(0)
    if not is_classic:
        return read_hdf5(stream, limit, key)
    from scipy import io as scipy_io  # noqa: PLC0415 - each kind of file imports its own library

    with scipy_io.netcdf_file(stream, mmap=False) as file:
        chosen = file.variables[choose({name: tuple(item.shape) for name, item in file.variables.items()}, key)]
        facts = {
            name: getattr(place, name)
            for place in (file, chosen)
            for name in (*HDF5_SIZES, "voxel_unit")
            if hasattr(place, name)
        }
        array = np.asarray(chosen.data)
    check(array.nbytes, limit)
    return array, noted_voxel(facts)


def read_nifti(stream: BinaryIO, limit: int) -> Read:
    """Return the array of a NIfTI image, version 1 or 2, with its voxels attached, slowest axis first."""
    nibabel: Any = import_module("nibabel")
    content = stream.read()
    is_second = NIFTI_2 in (int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big"))
    image = (nibabel.Nifti2Image if is_second else nibabel.Nifti1Image).from_bytes(content)
    header, voxels = image.header, image.dataobj
    is_scaled = (voxels.slope, voxels.inter) != (1, 0)
    check(math.prod(header.get_data_shape()) * (8 if is_scaled else header.get_data_dtype().itemsize), limit)
    unit = str(header.get_xyzt_units()[0])
    return np.asarray(voxels).T, voxel_of(header.get_zooms()[2::-1], NIFTI_UNITS.get(unit, unit))


def read_zarr(stream: BinaryIO, limit: int, key: str = "") -> Read:
    """Return an array of a Zarr store, version 2 or 3, in a .zip; the codec that unpickles, and others, are refused."""
    zarr: Any = import_module("zarr")
    with zipfile.ZipFile(stream) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        check(sum(entry.file_size for entry in entries), limit)
        tops = [file.parent for entry in entries if (file := PurePosixPath(entry.filename)).name in ZARR]
        if not tops:
            raise NotOneImageError(f"it holds none of {', '.join(ZARR)}, one of which makes a Zarr store")
        top = min(tops, key=lambda folder: len(folder.parts))
        inside = [entry for entry in entries if PurePosixPath(entry.filename).is_relative_to(top)]
        buffer = zarr.core.buffer.default_buffer_prototype().buffer
        content = {
            str(PurePosixPath(entry.filename).relative_to(top)): buffer.from_bytes(archive.read(entry))
            for entry in inside
        }
    opened = zarr.open(zarr.storage.MemoryStore(content), mode="r")
    is_group = isinstance(opened, zarr.Group)
    members = opened.members(max_depth=None) if is_group else [("", opened)]
    arrays = {name: item for name, item in members if isinstance(item, zarr.Array)}
    path = choose({name: tuple(item.shape) for name, item in arrays.items()}, key)
    chosen = arrays[path]
    used = set(codecs_in(chosen.metadata.to_dict()))
    if not used <= CODECS:
        raise NotOneImageError(f"it is packed by {', '.join(sorted(used - CODECS))}: save it again with blosc or zstd")
    check(math.prod(chosen.shape) * chosen.dtype.itemsize, limit)
    facts = {**(dict(opened.attrs) if is_group else {}), **dict(chosen.attrs)}
    return np.asarray(chosen[...]), noted_voxel(facts) or ome_voxel(facts, path)


def codecs_in(metadata: Any, within: bool = False) -> Iterator[str]:
    """Yield the names of the codecs that the metadata of a Zarr array name, those inside of others too."""
    if isinstance(metadata, dict):
        for name, value in metadata.items():
            if within and name in {"id", "name"}:
                yield str(value).removeprefix("numcodecs.")
            elif within or name in {"codecs", "compressor", "filters"}:
                yield from codecs_in(value, within=True)
    elif isinstance(metadata, list | tuple):
        for value in metadata:
            yield from codecs_in(value, within)


def ome_voxel(facts: Mapping[str, Any], path: str) -> Voxel:
    """Return the size of a voxel that OME-Zarr notes for the array of a path; None where it does not."""
    try:
        (scales, *_) = facts.get("ome", facts)["multiscales"]
        (own, *_) = [each for each in scales["datasets"] if each["path"] == path]
        edges = next(each["scale"] for each in own["coordinateTransformations"] if each["type"] == "scale")
        units = [axis.get("unit", "") for axis in scales["axes"]]
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration):
        return None
    return voxel_of(edges[-3:], units[-3:])


def read_nrrd(stream: BinaryIO, limit: int) -> Read:
    """Return the array of an NRRD file with its voxels attached, slowest axis first."""
    import nrrd  # noqa: PLC0415 - each kind of file imports its own library

    file = io.BytesIO(stream.read())
    header = nrrd.read_header(file)
    if "data file" in header or "datafile" in header:
        raise NotOneImageError("its voxels lie in another file: give the .nhdr file beside them")
    check(math.prod(map(int, header["sizes"])), limit)
    directions = header.get("space directions")
    edges = header.get("spacings") if directions is None else [np.linalg.norm(each) for each in directions]
    units = header.get("space units", header.get("units")) or ""
    array = np.asarray(nrrd.read_data(header, file, index_order="C"))
    return array, None if edges is None else voxel_of(
        list(edges)[::-1], units if isinstance(units, str) else units[::-1]
    )


def read_mha(stream: BinaryIO, limit: int) -> Read:
    """Return the array of a MetaImage with its voxels attached, slowest axis first."""
    header: dict[str, str] = {}
    for _ in range(HEADER_LINES):
        name, _, value = stream.readline(2**12).decode("latin-1").partition("=")
        header[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    if header.get("ElementDataFile", "").upper() != "LOCAL":
        raise ValueError("expected a header that ends in ElementDataFile = LOCAL")
    if int(header.get("ElementNumberOfChannels", 1)) != 1:
        raise NotOneImageError("it has several channels: save one grey value a voxel")
    is_big = "true" in (header.get(f"{part}ByteOrderMSB", "").lower() for part in ("BinaryData", "Element"))
    dtype = np.dtype((">" if is_big else "<") + MET[header["ElementType"].removeprefix("MET_")])
    shape = tuple(int(length) for length in reversed(header["DimSize"].split()))
    if min(shape) < 1:
        raise ValueError(f"it states the shape {shape}")
    promised = math.prod(shape) * dtype.itemsize
    check(promised, limit)
    content = stream.read()
    if header.get("CompressedData", "").lower() == "true":
        content = zlib.decompressobj().decompress(content, promised + 1)
    skipped = int(header.get("HeaderSize", 0))
    content = content[-promised:] if skipped == -1 else content[max(0, skipped) :]
    if len(content) != promised:
        raise ValueError(f"it holds {len(content)} bytes of voxels, {promised} are stated")
    edges = header.get("ElementSpacing", header.get("ElementSize", "")).split()
    return np.frombuffer(content, dtype).reshape(shape), voxel_of(edges[::-1])


def read_vti(stream: BinaryIO, limit: int, key: str = "") -> Read:
    """Return a cell or point array of a VTK image [depth, height, width]: ``pore``, bool, or the only one."""
    from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415 - each kind of file imports its own library
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader  # noqa: PLC0415

    reader: Any = vtkXMLImageDataReader()
    reader.ReadFromInputStringOn()
    reader.SetInputString(stream.read())
    reader.Update()
    grid = reader.GetOutput()
    points = tuple(reversed(grid.GetDimensions()))
    arrays: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for fields, shape in ((grid.GetPointData(), points), (grid.GetCellData(), tuple(n - 1 for n in points))):
        for index in range(fields.GetNumberOfArrays()):
            if fields.GetArray(index) is not None:
                arrays[str(fields.GetArrayName(index))] = fields.GetArray(index), shape
    chosen = choose({name: shape for name, (_, shape) in arrays.items()}, key or ("pore" if "pore" in arrays else ""))
    array, shape = arrays[chosen]
    check(math.prod(shape), limit)
    voxels = np.asarray(vtk_to_numpy(array)).reshape(shape)  # type: ignore[no-untyped-call]
    edges = tuple(reversed(grid.GetSpacing()))
    return voxels.astype(np.bool_) if chosen == "pore" else voxels, voxel_of(edges)


PICTURES = {"tiff": read_tiff, "slices": read_slices}
"""Readers of files that name their axes, so that they pick along them."""
READERS = {"nrrd": read_nrrd, "mha": read_mha, "nifti": read_nifti}
KEYED = {"mat": read_mat, "hdf5": read_hdf5, "netcdf": read_netcdf, "vti": read_vti, "zarr": read_zarr}
"""Readers of files that may hold several arrays."""


def read(kind: str, stream: BinaryIO, limit: int, key: str, pick: Mapping[str, int]) -> Read:
    """Return array and voxel of an image of some kind, and of several arrays, frames or channels the one asked for."""
    if kind in PICTURES:
        return PICTURES[kind](stream, limit, pick)
    array, voxel = KEYED[kind](stream, limit, key) if kind in KEYED else READERS[kind](stream, limit)
    return one_of_unnamed(array, pick), voxel


def choose(shapes: dict[str, tuple[int, ...]], key: str) -> str:
    """Return the name asked for, else that of the only array of three axes.

    Raises:
        ValueError: if there is none, or several; says which there are.
    """
    cubes = [name for name, shape in shapes.items() if len(shape) >= 3]
    if key:
        if key in shapes:
            return key
        raise NotOneImageError(f"it has no array called {key}; of three axes are {', '.join(cubes[:6]) or 'none'}")
    if len(cubes) != 1:
        shown = f"{', '.join(cubes[:6])}: choose one with --key NAME" if cubes else "none"
        raise NotOneImageError(f"expected one three-dimensional array, found {shown}")
    return cubes[0]


def check(size: int, limit: int) -> None:
    """Raise ValueError for an image of more bytes than the limit."""
    if size > limit:
        raise ValueError(f"it unpacks to {size} bytes, more than the {limit} that are allowed for it")


def main(kind: str, limit: str, seconds: str, key: str = "", pick: str = "{}") -> int:
    """Read one image and return the exit code."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_DATA, (3 * int(limit) + OWN_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds),) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not write into the array
    try:
        array, voxel = read(kind, sys.stdin.buffer, int(limit), key, json.loads(pick))
        if array.dtype.kind not in "biuf":
            raise ValueError("expected an array of numbers")
        with target:
            np.save(target, array, allow_pickle=False)
            target.write(json.dumps(voxel).encode().ljust(TRAILER))
    except ImportError as error:
        sys.stderr.write(f"{error.name or error}")
        return MISSING
    except NotOneImageError as error:
        sys.stderr.write(" ".join(str(error).split())[:400])
        return EXPLAINED
    except Exception as error:  # a library may raise anything at a damaged file
        sys.stderr.write(" ".join(str(error).split())[:400] or type(error).__name__)
        return EXIT
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
