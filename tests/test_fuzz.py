"""Damaged and hostile files: every reader answers with content or with one sentence, and takes little memory."""

import functools
import gzip
import importlib
import importlib.util
import io
import json
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import h5py
import nrrd
import numpy as np
import pytest
import safetensors.numpy
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy
from PIL import Image
from scipy.io import netcdf_file, savemat

import porebench
from porebench import data
from porebench.benchmarks.report import documents as report
from porebench.benchmarks.store import files
from porebench.benchmarks.store import results as runs
from porebench.benchmarks.store.cells import Cells
from porebench.data import archives, images, packed, seed_format
from porebench.data import export as formats
from porebench.data._decode import EXIT, EXPLAINED, MISSING, TRAILER
from porebench.generators import get
from porebench.metrics.descriptors import describe

SECONDS = 30  # of processor time: other programs may keep the machine busy
MEMORY = 2**30  # bytes a reader may take beyond what the tests themselves have
FAST, SLOW = 25, 170  # mutated files for each reader below
FAST_FORMATS, SLOW_FORMATS = 6, 340  # for each format that is read in a process of its own
CUBE = np.random.default_rng(0).random((6, 6, 6)) < 0.4
VOLUME = data.Volumes(CUBE[None], np.array([0.4]), 2.5)
GREY = np.where(CUBE, 0, 255).astype(np.uint8)


class Payload:
    """Unpickling it leaves a mark."""

    def __reduce__(self):
        return os.mkdir, ("pickle-was-run",)


def _npy(array, **kwargs) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **kwargs)
    return stream.getvalue()


def _zip(members: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _tiff(**kwargs) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY, photometric="minisblack", **kwargs)
    return stream.getvalue()


def _stated(suffix: str) -> bytes:
    """A file as this suite writes it, with the size of a voxel."""
    return _file_of(lambda path: formats.write_volumes(VOLUME, path), suffix)


def _mat(**kwargs) -> bytes:
    stream = io.BytesIO()
    savemat(stream, {"image": GREY}, **kwargs)
    return stream.getvalue()


def _hdf5(**attributes) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("image", data=GREY, compression="gzip").attrs.update(attributes)
    return stream.getvalue()


def _nrrd(**header) -> bytes:
    return _file_of(lambda path: nrrd.write(str(path), GREY, header))


def _ome() -> bytes:
    stream = io.BytesIO()
    facts = {
        "axes": "ZYX",
        "PhysicalSizeX": 2.5,
        "PhysicalSizeY": 2.5,
        "PhysicalSizeZ": 0.0025,
        "PhysicalSizeZUnit": "mm",
    }
    tifffile.imwrite(stream, GREY, photometric="minisblack", ome=True, metadata=facts)
    return stream.getvalue()


def _appended() -> bytes:
    stream = io.BytesIO()
    pages = [Image.fromarray(page) for page in GREY]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    return stream.getvalue()


def _matlab_7_3() -> bytes:
    return b"MATLAB 7.3 MAT-file".ljust(512) + _hdf5(MATLAB_class=np.bytes_("uint8"))


def _struct() -> bytes:
    stream = io.BytesIO()
    savemat(stream, {"scan": {"about": {"edge": 2.5, "rock": "Berea"}, "image": GREY}})
    return stream.getvalue()


def _netcdf() -> bytes:
    def write(path: Path) -> None:
        with netcdf_file(path, "w") as file:
            for axis in "zyx":
                file.createDimension(axis, 6)
            file.createVariable("image", "b", tuple("zyx"))[:] = GREY.view(np.int8)
            file.voxel_size_xyz, file.voxel_unit = [2.5, 2.5, 2.5], "um"

    return _file_of(write)


def _nifti() -> bytes:
    nibabel = importlib.import_module("nibabel")
    return nibabel.Nifti1Image(GREY, np.diag([2.5, 2.5, 2.5, 1])).to_bytes()


def _zarr() -> bytes:
    zarr = importlib.import_module("zarr")
    store = zarr.storage.MemoryStore()
    zarr.create_array(store, data=GREY, chunks=(4, 4, 4), attributes={"voxel_size": [2.5, 2.5, 2.5]})
    return _zip({name: content.to_bytes() for name, content in store._store_dict.items()})


def _mha() -> bytes:
    header = "NDims = 3\nDimSize = 6 6 6\nElementSpacing = 2.5 2.5 2.5\nElementType = MET_UCHAR\n"
    header += "CompressedData = True\nElementDataFile = LOCAL\n"
    return header.encode() + zlib.compress(GREY.tobytes())


def _slices() -> bytes:
    pictures = {}
    for index, page in enumerate(GREY):
        stream = io.BytesIO()
        Image.fromarray(page).save(stream, "PNG")
        pictures[f"{index}.png"] = stream.getvalue()
    return _zip(pictures)


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("a.npy")
        entry.size = len(_npy(GREY))
        archive.addfile(entry, io.BytesIO(_npy(GREY)))
    return stream.getvalue()


def _one_bit() -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, ~CUBE, photometric="minisblack")
    return stream.getvalue()


def _table() -> np.ndarray:
    axis = np.linspace(0, 1, 6)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.column_stack([grid, CUBE.ravel()])


def _detached(suffix: str):
    """Return a reader of a header whose voxels lie in a file beside it."""

    def read(path: Path) -> None:
        path.with_name("a.raw").write_bytes(GREY.tobytes())
        archives.attached(path).close()

    sign, name = ("=", "ElementDataFile") if suffix == ".mhd" else (":", "data file")
    header = f"NDims {sign} 3\nDimSize {sign} 6 6 6\nElementType {sign} MET_UCHAR\n{name} {sign} a.raw\n"
    return f"a{suffix}", header.encode, read


def _file_of(write, suffix: str = "") -> bytes:
    path = Path(f"good-file{suffix}")
    write(path)
    content = path.read_bytes()
    path.unlink()
    return content


def _samples() -> bytes:
    return _file_of(lambda path: files.save_samples(data.Volumes(np.stack([CUBE] * 3), np.full(3, 0.4)), path))


@functools.cache
def _weights(name: str) -> bytes:
    volumes, density = np.stack([CUBE] * 4), np.array([0.3, 0.4, 0.5, 0.6])
    return _file_of(get(name)(**NETWORK.get(name, {})).fit(volumes, density, rng=0).save)


NETWORK = {"cvae": dict.fromkeys(("encoder_blocks", "decoder_blocks", "prior_blocks", "epochs"), 1)}
NETWORK["cvae"] |= {"width": 4, "refine_epochs": 0}
NETWORK["flow-matching"] = {"width": 4, "blocks": 1, "epochs": 1, "batch_size": 4, "steps": 2}
NETWORK["discrete-diffusion"] = NETWORK["flow-matching"]
NETWORK["gan"] = {"width": 4, "blocks": 1, "epochs": 1, "batch_size": 4, "critic_width": 2}


def _parts(weights: bytes) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and header of a saved generator."""
    length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + length])["__metadata__"]["porebench"]
    return safetensors.numpy.load(weights), json.loads(header)


def _joined(arrays: dict[str, np.ndarray], header: dict) -> bytes:
    return safetensors.numpy.save(arrays, {"porebench": json.dumps(header)})


def _manifest() -> bytes:
    cells = {"sample": {"key": "k", "inputs": {"seed": "0"}, "seconds": 1.0}}
    record = {
        "status": "scored",
        "date": "2026-01-01",
        "command": "porebench evaluate",
        "processor": "p",
        "digest": "d",
    }
    record |= {"fit_seconds": 1.0, "sample_milliseconds": 2.0, "samples_digest": "s", "cells": cells}
    run = {"dataset": "tiny", "density_kind": "factor", "n_test": 5, "seed": 0, "quick": False, "data": "d"}
    return json.dumps({"run": run, "generators": {"pca": record}}).encode()


def _speed() -> bytes:
    info = {"generator": "pca", "volumes": 64, "volumes_per_second": 3.0, "device": "p", "devices": ["cpu"]}
    stats = {"median": 1.0, "iqr": 0.1, "data": [1.0]}
    bench = {"group": "sampling", "params": {"device": "cpu"}, "stats": stats, "extra_info": info}
    machine = {"processor": "p", "threads": 2, "commit": "c"}
    return json.dumps({"datetime": "2026-01-01", "machine_info": machine, "benchmarks": [bench]}).encode()


TABLE_ROWS = b"generator,band,metric,value,ci_low,ci_high,n_generated,n_real\npca,all,nfr100,2.5,2.1,2.9,50,50\n"


def _report(path: Path):
    folder = path.parent / "results" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    for name, good in (("manifest.json", _manifest()), ("accuracy.csv", TABLE_ROWS)):
        (folder / name).write_bytes(path.read_bytes() if path.name == name else good)
    return report.outdated_reports(path.parent / "results", path.parent / "README.md")


def _speed_report(path: Path):
    folder = path.parent / "results" / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).write_bytes(path.read_bytes())
    return report.documents(path.parent / "results")


def _cell(path: Path):
    cells = Cells(path.parent, "g")
    cells.record("score").parent.mkdir(parents=True, exist_ok=True)
    cells.record("score").write_bytes(path.read_bytes())
    return cells.read("score")


def _good_cell() -> bytes:
    cells = Cells(Path(), "g")
    cells.finish("score", {"a": "b"}, {"rows": []}, 1.0)
    return cells.record("score").read_bytes()


READERS = {
    "published.npy": ("distribution_000_0.500.npy", lambda: _npy(_table()), seed_format.read_file),
    "image.npy": ("a.npy", lambda: _npy(GREY), data.read_volume),
    "image.npz": ("a.npz", lambda: _zip({"a.npy": _npy(GREY)}), data.read_volume),
    "image.zip": ("a.zip", lambda: _zip({"a.npy": _npy(GREY)}), data.read_volume),
    "image.tif": ("a.tif", _tiff, data.read_volume),
    "image.raw": ("a.raw", GREY.tobytes, lambda path: data.read_volume(path, shape=(6, 6, 6), dtype="u1")),
    "image.npy.gz": ("a.npy.gz", lambda: gzip.compress(_npy(GREY)), data.read_volume),
    "image.tar": ("a.tar", _tar, data.read_volume),
    "image.tgz": ("a.tgz", lambda: gzip.compress(_tar()), data.read_volume),
    "samples": ("a.npz", _samples, packed.load_samples),
    "volumes": (
        "a.npz",
        lambda: _file_of(lambda path: formats.write_volumes(VOLUME, path), ".npz"),
        data.read_set,
    ),
    "header.mhd": _detached(".mhd"),
    "header.nhdr": _detached(".nhdr"),
    "weights": ("a.safetensors", lambda: _weights("pca"), get("pca").load),
    "field": ("a.safetensors", lambda: _weights("gaussian-field"), get("gaussian-field").load),
    "network": ("a.safetensors", lambda: _weights("cvae"), get("cvae").load),
    "manifest": ("manifest.json", _manifest, _report),
    "table": ("accuracy.csv", lambda: TABLE_ROWS, _report),
    "speed": ("cpu.json", _speed, _speed_report),
    "cell": ("score.json", _good_cell, _cell),
}
FORMATS = {
    "packed.tif": ("tiff", lambda: _tiff(compression="zlib")),
    "one bit.tif": ("tiff", _one_bit),
    "lzw.tif": ("tiff", _appended),
    "imagej.tif": ("tiff", lambda: _stated(".tif")),
    "ome.tif": ("tiff", _ome),
    "slices.zip": ("slices", _slices),
    "image.mat": ("mat", _mat),
    "packed.mat": ("mat", lambda: _mat(do_compression=True)),
    "7.3.mat": ("mat", _matlab_7_3),
    "image.h5": ("hdf5", lambda: _hdf5(element_size_um=[2.5, 2.5, 2.5])),
    "image.nc": ("hdf5", lambda: _hdf5(voxel_size_xyz=[2.5, 2.5, 2.5], voxel_unit="um")),
    "image.nrrd": ("nrrd", lambda: _nrrd(spacings=[2.5, 2.5, 2.5], units=["um"] * 3)),
    "directions.nrrd": ("nrrd", lambda: _nrrd(**{"space dimension": 3, "space directions": np.eye(3) * 2.5})),
    "image.mha": ("mha", _mha),
    "image.vti": ("vti", lambda: _stated(".vti")),
    "struct.mat": ("mat", _struct),
    "classic.nc": ("netcdf", _netcdf),
    "image.nii": ("nifti", _nifti),
    "image.zarr": ("zarr", _zarr),
}
for package, file in (("nibabel", "image.nii"), ("zarr", "image.zarr")):
    if importlib.util.find_spec(package) is None:
        del FORMATS[file]
"""Formats that are read in a process of their own, by the name of a file."""


WORDS = (b"\xff" * 4, b"\xff" * 8, b"\x00" * 8, struct.pack("<Q", 2**40), struct.pack(">I", 2**31))
NUMBERS = (b"99999999999999999999", b"-1", b"1e999", b"nan", b"[", b"0")
INSERTS = (b"[" * 20000, b"(" * 500, b'"', b"\x00", b"'|O'", b"\xff\xfe", b"inf", b"," * 50)


class HangError(RuntimeError):
    """A reader took more processor time than any should."""


def mutate(content: bytes, rng: random.Random) -> bytes:
    """One kind of damage, or two."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(8)
        if kind == 0:
            del changed[at:]
        elif kind == 1 and changed:
            for _ in range(rng.choice((1, 1, 4, 32))):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            word = rng.choice(WORDS)
            changed[at : at + len(word)] = word
        elif kind == 3:
            changed[at:at] = changed[max(0, at - rng.randrange(1, 64)) : at] * rng.randrange(1, 9)
        elif kind == 4:
            del changed[at : at + rng.randrange(1, 64)]
        elif kind == 5:
            digits = [index for index, value in enumerate(changed[:400]) if chr(value).isdigit()]
            if digits:
                index = rng.choice(digits)
                changed[index : index + 1] = rng.choice(NUMBERS)
        elif kind == 6:
            changed[at:at] = rng.choice(INSERTS)
        else:
            other = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 64)))
            changed[at : at + len(other)] = other
    return bytes(changed)


ODD = (10**9, -1, 0, 10**18, 10**30, 1e9, float("nan"), None, "x", [], {}, [1] * 7, True, 2.5)
SHAPES = ([6, 6], [6, 6, 10**4], [-1, 6, 6], [6, 6, None], [10**6] * 3, [7, 6, 6], [1, 1, 1], "abc")


def edit(weights: bytes, rng: random.Random) -> bytes:
    """A whole file of weights that says one thing that is not so."""
    arrays, header = _parts(weights)
    kind = rng.choice(("array", "params", "law", "values", "shape"))
    if kind == "array" and arrays:
        name = rng.choice(sorted(arrays))
        array = arrays[name].copy()
        limits = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
        if rng.random() < 0.5:
            array.flat[: rng.choice((1, array.size))] = rng.choice((limits.max, limits.min, 0))
        else:
            array = rng.choice((array[:0], np.concatenate([array, array]), array.ravel(), array[None]))
        arrays[name] = array
    elif kind in {"params", "law", "values"} and header[kind]:
        header[kind][rng.choice(sorted(header[kind]))] = rng.choice(ODD)
    else:
        header["shape"] = rng.choice(SHAPES)
    return _joined(arrays, header)


@pytest.fixture
def guarded(tmp_path, monkeypatch):
    """A folder to be in, a clock and a bound on memory."""
    resource = pytest.importorskip("resource")
    monkeypatch.chdir(tmp_path)

    def rings(*_):
        raise HangError("a reader hangs")

    used = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line).split()[1])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    handler = signal.signal(signal.SIGPROF, rings)
    monkeypatch.setattr(images, "DECODING_SECONDS", SECONDS)
    resource.setrlimit(resource.RLIMIT_DATA, (1024 * used + MEMORY, before[1]))
    yield tmp_path
    signal.setitimer(signal.ITIMER_PROF, 0)
    resource.setrlimit(resource.RLIMIT_DATA, before)
    signal.signal(signal.SIGPROF, handler)


def answer(read, path: Path) -> str:
    """ "read", or the sentence by which the file is refused; everything else is a failure of the test."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read(path)
    except (ValueError, OSError) as error:
        sentence = str(error)
        assert sentence, "no reason given"
        assert "\n" not in sentence, sentence
        assert len(sentence) < 800, sentence
        return sentence
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def _fuzz(readers, name: str, count: int, folder: Path) -> int:
    file, make, read = readers[name]
    good = make()
    path = folder / file
    path.write_bytes(good)
    assert answer(read, path) == "read"
    rng = random.Random(name)  # noqa: S311 - the same files every time
    refused = 0
    for _ in range(count):
        path.write_bytes(mutate(good, rng))
        refused += answer(read, path) != "read"
    assert not (folder / "pickle-was-run").exists()
    return refused


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_in_one_sentence(name, guarded) -> None:
    assert _fuzz(READERS, name, FAST, guarded) or name == "cell"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files_are_read_or_refused_in_one_sentence(name, guarded) -> None:
    assert _fuzz(READERS, name, SLOW, guarded) or name == "cell"


def _fuzz_weights(name: str, count: int, folder: Path) -> None:
    path, good = folder / "a.safetensors", _weights(name)
    rng = random.Random(name)  # noqa: S311 - the same files every time
    for _ in range(count):
        path.write_bytes(edit(good, rng))
        answer(lambda path: get(name).load(path).sample(0.5, 2, rng=0), path)


WEIGHTS = (
    "pca",
    "gaussian-field",
    "sphere-packing",
    "quilting",
    "direct-sampling",
    "annealing",
    "fibres",
    "memoriser",
    "reference",
    "cvae",
    "flow-matching",
    "discrete-diffusion",
    "gan",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_say_what_is_not_so_are_drawn_from_or_refused(name, guarded) -> None:
    _fuzz_weights(name, FAST, guarded)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WEIGHTS)
def test_many_weights_that_say_what_is_not_so_are_drawn_from_or_refused(name, guarded) -> None:
    _fuzz_weights(name, SLOW, guarded)


ABSURD = (
    ("cvae", {"width": 10**9}),
    ("cvae", {"width": 10**5}),
    ("cvae", {"latent_channels": 10**8}),
    ("cvae", {"decoder_blocks": 10**6}),
    ("cvae", {"prior_blocks": 10**9}),
    ("cvae-seed", {"latent": 10**9}),
)


@pytest.mark.parametrize(("name", "params"), ABSURD)
def test_absurd_sizes_of_a_network_are_refused_before_it_is_built(name, params, guarded) -> None:
    arrays, header = _parts(_weights("cvae"))
    path = guarded / "a.safetensors"
    path.write_bytes(_joined(arrays, {**header, "generator": name, "params": params}))
    sentence = answer(get(name).load, path)
    assert f"is not a saved {name} generator" in sentence
    assert "allocate" not in sentence


def test_a_file_of_very_many_arrays_is_refused(guarded) -> None:
    _, header = _parts(_weights("noise"))
    path = guarded / "a.safetensors"
    path.write_bytes(_joined({str(index): np.zeros(1, dtype=bool) for index in range(10_001)}, header))
    assert "it holds 10001 arrays" in answer(get("noise").load, path)


FORKS = """
import os, runpy, sys
import h5py, nrrd, numpy, scipy.io, tifffile, vtkmodules.util.numpy_support, vtkmodules.vtkIOXML
from PIL import Image
for package in ("nibabel", "zarr"):
    try:
        __import__(package)
    except ImportError:
        pass

script, limit, seconds, *jobs = sys.argv[1:]
main = runpy.run_path(script)["main"]
for kind, path in zip(jobs[::2], jobs[1::2]):
    child = os.fork()
    if not child:
        for number, name, flags in ((0, path, os.O_RDONLY), (1, path + ".out", 577), (2, path + ".err", 577)):
            os.dup2(os.open(name, flags, 0o600), number)
        os._exit(main(kind, limit, seconds))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Reads files as ``images.decode`` does, in a process of its own each, but imports the libraries once for all."""


def _fuzz_formats(names, count: int, folder: Path) -> None:
    rng = random.Random(str(names))  # noqa: S311 - the same files every time
    jobs: list[str] = []
    for name in names:
        kind, make = FORMATS[name]
        good = make()
        for number in range(count + 1):
            path = folder / f"{number}-{name}"
            path.write_bytes(mutate(good, rng) if number else good)
            jobs += [kind, str(path)]
    command = [sys.executable, "-c", FORKS, str(images._SCRIPT), str(2**20), str(SECONDS), *jobs]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    assert told.returncode == 0, told.stderr[-500:]
    codes = [int(line) for line in told.stdout.split()]
    assert len(codes) == len(jobs) // 2
    for file, code in zip(jobs[1::2], codes, strict=True):
        said = Path(f"{file}.err").read_text(errors="replace")
        assert code == 0 or not Path(file).name.startswith("0-"), (file, said)
        assert code in {0, EXIT, MISSING, EXPLAINED} or code < 0, (file, code)  # a crash is what the process is for
        if code == 0:
            content = Path(f"{file}.out").read_bytes()
            packed.read_npy(io.BytesIO(content[:-TRAILER]), len(content) - TRAILER, file)
            voxel = json.loads(content[-TRAILER:])
            assert voxel is None or (len(voxel[0]) == 3 and all(0 < edge < np.inf for edge in voxel[0])), voxel
        elif code > 0:
            assert said.strip(), file
            assert len(said.splitlines()[-1]) <= 400
    assert not (folder / "pickle-was-run").exists()


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_for_readers_that_can_crash(guarded) -> None:
    _fuzz_formats(list(FORMATS), FAST_FORMATS, guarded)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_many_damaged_files_for_readers_that_can_crash(name, guarded) -> None:
    _fuzz_formats([name], SLOW_FORMATS, guarded)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["image.mat", "imagej.tif"])
def test_what_a_reader_in_its_own_process_says_is_one_sentence(name, guarded) -> None:
    file = f"a{Path(name).suffix}"
    assert _fuzz({name: (file, FORMATS[name][1], data.read_volume)}, name, 3, guarded) >= 0


def _claims(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue() + GREY.tobytes()


HOSTILE = {
    "a huge shape": ("a.npy", lambda: _claims((10**6, 10**6, 10**6))),
    "a shape that overflows": ("a.npy", lambda: _claims((2**32, 2**32, 2**32))),
    "a negative length": ("a.npy", lambda: _claims((-1, 6, 6))),
    "a huge shape in an archive": ("a.npz", lambda: _zip({"a.npy": _claims((10**5, 10**5, 10**5))})),
    "a pickle as .npy": ("a.npy", lambda: _npy(np.array([Payload()], dtype=object), allow_pickle=True)),
    "a bare pickle": ("a.npy", lambda: pickle.dumps(Payload())),
    "a pickle in an archive": ("a.npz", lambda: _zip({"a.npy": pickle.dumps(Payload())})),
    "names that lead out": ("a.zip", lambda: _zip({"../../a.npy": _npy(GREY), "/etc/b.npy": _npy(GREY)})),
    "an archive in an archive": ("a.zip", lambda: _zip({"b.zip": _zip({"a.npy": _npy(GREY)})})),
    "a rare packing": ("a.zip", lambda: _zip({"a.npy": _npy(GREY)}, zipfile.ZIP_LZMA)),
    "not finite": ("a.npy", lambda: _npy(np.where(CUBE, np.inf, np.nan))),
    "deep nesting": ("a.npy", lambda: _claims((6, 6, 6)).replace(b"(6, 6, 6)", b"(" * 60)),
    "nothing": ("a.npy", bytes),
    "nothing as an archive": ("a.zip", bytes),
    "nothing as a TIFF": ("a.tif", bytes),
}


@pytest.mark.parametrize("danger", HOSTILE)
def test_hostile_files_are_refused(danger, guarded) -> None:
    name, make = HOSTILE[danger]
    path = guarded / name
    path.write_bytes(make())
    assert answer(data.read_volume, path) != "read"
    assert [entry.name for entry in guarded.iterdir()] == [name]


def test_a_path_that_leads_out_of_an_archive_writes_nothing(guarded) -> None:
    path = guarded / "in" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(_zip({"../escaped.npy": _npy(GREY)}))
    answer(data.read_volume, path)
    assert not (guarded / "escaped.npy").exists()


def test_bombs_are_refused_before_they_unpack(guarded) -> None:
    bomb = _zip({"voxels.npy": _claims((3 * 2**20, 1, 1)) + bytes(3 * 2**30 // 64)})
    small = bytearray(bomb)
    at = small.rfind(b"PK\x01\x02") + 24  # the size that the directory states
    small[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    for name, read in (("a.npz", packed.read_arrays), ("a.npz", data.read_volume), ("a.zip", data.read_volume)):
        (guarded / name).write_bytes(small)
        assert answer(read, guarded / name) != "read"


def test_links_and_special_files_do_not_hang(guarded) -> None:
    folder = guarded / "set"
    folder.mkdir()
    (folder / "distribution_000_0.500.npy").write_bytes(_npy(_table()))
    os.mkfifo(folder / "distribution_001_0.500.npy")
    (folder / "distribution_002_0.500.npy").symlink_to("distribution_002_0.500.npy")
    (folder / "distribution_003_0.500.npy").symlink_to("/dev/zero")
    (folder / "distribution_004_0.500.npy").mkdir()
    signal.alarm(20 * SECONDS)  # waiting takes no processor time
    volumes, skipped = data.read_folder(folder, skip_bad=True)
    signal.alarm(0)
    assert len(volumes) == 1
    assert len(skipped) == 4
    for name in ("distribution_001_0.500.npy", "distribution_003_0.500.npy"):
        assert answer(seed_format.read_file, folder / name) != "read"


def test_a_reader_that_crashes_is_one_sentence(guarded, monkeypatch) -> None:
    script = guarded / "crash.py"
    script.write_text("import os; os.abort()")
    monkeypatch.setattr(images, "_SCRIPT", script)
    (guarded / "a.mat").write_bytes(_mat())
    assert "its reader crashed" in answer(data.read_volume, guarded / "a.mat")
    script.write_text("import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass")
    monkeypatch.setattr(images, "DECODING_SECONDS", 1)
    assert "took over 1 s" in answer(data.read_volume, guarded / "a.mat")


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.floats(), st.text(max_size=5), st.lists(st.floats(), max_size=3)
)
ERRORS = (ValueError, TypeError, OSError)


@pytest.fixture(scope="module")
def noise():
    return get("noise")().fit(np.stack([CUBE] * 4), np.array([0.3, 0.4, 0.5, 0.6]), rng=0)


def outcome(call, *args, **kwargs):
    """What a call returns, or the words by which it refuses."""
    try:
        return call(*args, **kwargs)
    except ERRORS as error:
        return str(error)


@settings(max_examples=100, deadline=None)
@given(density=ANYTHING, n=ANYTHING, shape=st.one_of(st.none(), st.lists(st.integers(-2, 9), max_size=4), ANYTHING))
def test_sampling_refuses_nonsense_in_words(noise, density, n, shape) -> None:
    drawn = outcome(noise.sample, density, n, shape=shape, rng=0)
    assert len(drawn)
    assert isinstance(drawn, str) or (drawn.dtype == np.bool_ and drawn.ndim == 4)


ODD_NAMES = st.sampled_from(["..", "/", "~", "spheres/", "\x00", "a" * 300])


@settings(max_examples=100, deadline=None)
@given(name=st.one_of(st.text(max_size=12), ODD_NAMES), block=st.integers(-2, 3))
def test_loading_refuses_nonsense_in_words(name, block) -> None:
    assert outcome(data.load, name, block=block) != ""


@settings(max_examples=60, deadline=None)
@given(volume=st.one_of(ANYTHING, st.just(CUBE)), edge=st.integers(-3, 9))
def test_cutting_blocks_refuses_nonsense_in_words(volume, edge) -> None:
    cut = outcome(data.blocks, volume, edge)
    assert isinstance(cut, str) or cut.dtype == np.bool_
    assert len(cut)


@settings(max_examples=40, deadline=None)
@given(voxels=ANYTHING, workers=st.integers(-2, 1))
def test_describing_refuses_nonsense_in_words(voxels, workers) -> None:
    with pytest.raises(ERRORS, match=r"\S"):
        describe(np.asarray(voxels), workers=workers)
    with pytest.raises(ERRORS, match=r"\S"):
        data.Volumes(np.asarray(voxels), np.asarray([0.5]))


def test_only_generator_files_run_code(guarded) -> None:
    """Opening every kind of file with a mark-making module beside it runs none of it."""
    (guarded / "numpy.py").write_text("open('was-run', 'w')")
    (guarded / "a.npy").write_bytes(_npy(GREY))
    (guarded / "a.mat").write_bytes(_mat())
    code = "from porebench import data; [data.read_volume(name) for name in ('a.npy', 'a.mat')]"
    environment = {**os.environ, "PYTHONPATH": str(Path(porebench.__file__).parents[1])}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert not (guarded / "was-run").exists()


def test_reading_runs_is_strict(tmp_path) -> None:
    (tmp_path / "accuracy.csv").write_bytes(TABLE_ROWS + TABLE_ROWS.splitlines()[1])
    with pytest.raises(ValueError, match="states a number twice"):
        runs.read_table(tmp_path)
