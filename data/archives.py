"""Archives and packed files: the only image in one, unpacked in memory and never to more than is allowed."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

from . import packed
from ._decode import ZARR
from .packed import DEFLATE_RATIO, UNPACKING, one_line, read_npy_header

SLICES = (".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg")
"""Ends of the names of files that may be slices of a stack."""
_RARE = "is packed by a rare method; repack it as an ordinary .zip"
_STORED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def check_size(size: int, name: str) -> None:
    """Raise ValueError for a file or an image that takes more than is allowed."""
    if size > packed.MAX_BYTES:
        sizes = f"{size / 2**30:.1f} GiB, more than the {packed.MAX_BYTES / 2**30:.1f} GiB that are allowed"
        raise ValueError(f"{name}: unpacks to {sizes}; crop the image")


def gunzip(stream: BinaryIO, size: int, name: str) -> bytes:
    """Return the content of a gzip file of ``size`` bytes."""
    limit = min(packed.MAX_BYTES, DEFLATE_RATIO * size)
    try:
        with gzip.GzipFile(fileobj=stream) as file:
            content = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name}: cannot be unpacked ({one_line(error)}); copy or download it again") from error
    if len(content) > limit:
        check_size(packed.MAX_BYTES + 1, name)
        raise ValueError(f"{name}: is damaged: more comes out of it than can; copy or download it again")
    return content


def from_tar(stream: BinaryIO, name: str, kinds: Sequence[str]) -> tuple[bytes, str]:
    """Return content and name of the only image in a tar archive; nothing is written."""
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            members = [entry for entry in archive if entry.isreg() and is_image(entry.name, kinds)]
            entry = members[_only([each.name for each in members], name, kinds)]
            check_size(entry.size, f"{name}/{entry.name}")
            file = archive.extractfile(entry)
            return (file.read() if file else b""), entry.name
    except (*UNPACKING, tarfile.TarError, OSError, OverflowError) as error:
        raise _named(error, name) from error


def from_zip(stream: BinaryIO, name: str, kinds: Sequence[str]) -> tuple[bytes, str] | Literal["slices", "zarr"]:
    """Return content and name of the only image in a .zip, or what all its files are together.

    The zipfile module checks declared sizes.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if any(PurePosixPath(entry.filename).name in ZARR for entry in entries):
                return "zarr"
            slices = [entry for entry in entries if is_image(entry.filename, SLICES)]
            if len(slices) > 1 and len({PurePosixPath(entry.filename).suffix.lower() for entry in slices}) == 1:
                check_size(sum(entry.file_size for entry in slices), name)
                return "slices"
            members = [entry for entry in entries if is_image(entry.filename, kinds)]
            return _member(archive, members[_only([each.filename for each in members], name, kinds)], name)
    except (*UNPACKING, OSError) as error:
        raise _named(error, name) from error


def from_npz(stream: BinaryIO, name: str, key: str | None) -> tuple[bytes, str]:
    """Return content and name of an array in an ``.npz``: the one asked for, else the only one of three axes or more.

    An array beside others that describe it (a voxel size, densities) needs no key.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = [entry for entry in archive.infolist() if is_image(entry.filename, (".npy",))]
            if key is not None:
                members = [entry for entry in members if entry.filename.removesuffix(".npy") == key] or members
            if len(members) > 1:
                members = [entry for entry in members if _axes(archive, entry, name) >= 3] or members
            return _member(archive, members[_only([each.filename for each in members], name, (".npy",), key)], name)
    except (*UNPACKING, OSError) as error:
        raise _named(error, name) from error


def is_zarr(folder: Path) -> bool:
    """Return whether a folder is a Zarr store."""
    return any((folder / name).is_file() for name in ZARR)


def zip_of(files: Sequence[Path], folder: Path, target: BinaryIO) -> int:
    """Write files of a folder into an archive without packing them, and return its size in bytes."""
    check_size(sum(file.stat().st_size for file in files), folder.name)
    with zipfile.ZipFile(target, "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(folder))
    size = target.tell()
    target.seek(0)
    return size


def attached(path: Path) -> BinaryIO:
    """Return an open copy of an image whose header and voxels lie in two files (.mhd, .nhdr) as a single file.

    Raises:
        ValueError: if the header names no single file in its own folder.
    """
    with path.open("rb") as stream:
        header = stream.read(2**16).decode("latin-1")
    is_nrrd = path.suffix.lower() == ".nhdr"
    keys, sign = (("data file", "datafile"), ":") if is_nrrd else (("elementdatafile",), "=")
    kept, named = [], ""
    for line in header.splitlines():
        key, _, value = line.partition(sign)
        if key.strip().lower() in keys:
            named = value.strip().removeprefix("./")
        elif line.strip():
            kept.append(line)
    voxels = path.with_name(named) if named and Path(named).name == named else None
    if voxels is None or not voxels.is_file():
        raise ValueError(f"{path.name}: expected the name of one file beside it with the voxels, got {named[:80]!r}")
    check_size(voxels.stat().st_size, voxels.name)
    whole = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed by the caller
    whole.write("\n".join([*kept, "" if is_nrrd else "ElementDataFile = LOCAL"]).encode("latin-1") + b"\n")
    with voxels.open("rb") as content:
        while piece := content.read(2**24):
            whole.write(piece)
    whole.seek(0)
    return whole


def is_image(name: str, kinds: Sequence[str]) -> bool:
    """Return whether a file's name ends in one of the suffixes and is no hidden one."""
    path = PurePosixPath(name)
    return "__MACOSX" not in path.parts and not path.name.startswith(".") and path.suffix.lower() in kinds


def _only(names: Sequence[str], name: str, kinds: Sequence[str], key: str | None = None) -> int:
    """Return 0 where there is exactly one name, the one asked for if there is a key."""
    if len(names) == 1 and key in (None, names[0].removesuffix(".npy")):
        return 0
    found = ", ".join(names[:4]) or "none"
    if kinds == (".npy",):
        help_ = "choose an array with --key NAME" if names else "save one with numpy.savez"
        wanted = "exactly one image, an array of three axes" if key is None else f"an array called {key}"
        raise ValueError(f"{name}: expected {wanted}, found {found}; {help_}")
    raise ValueError(f"{name}: expected exactly one image ({', '.join(kinds)}), found {found}; repack it")


def _axes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> int:
    if entry.compress_type not in _STORED:
        raise ValueError(f"{name}: {_RARE}")
    with archive.open(entry) as stream:
        shape, _ = read_npy_header(cast(BinaryIO, stream), f"{name}/{entry.filename}")
    return len(shape)


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> tuple[bytes, str]:
    check_size(entry.file_size, f"{name}/{entry.filename}")
    if entry.compress_type not in _STORED:
        raise ValueError(f"{name}: {_RARE}")
    if entry.compress_size > archive.start_dir:  # reading would make room for them first
        raise ValueError(f"{name}: is damaged: states more bytes than it has; copy or download it again")
    return archive.read(entry), entry.filename


def _named(error: Exception, name: str) -> Exception:
    """Return an error that begins with the file's name."""
    if isinstance(error, ValueError) and str(error).startswith(name):
        return error
    return ValueError(f"{name}: cannot be unpacked ({one_line(error)}); copy or download it again")
