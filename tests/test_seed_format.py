import re

import numpy as np
import pytest

from porebench.data import Volumes, read_folder, simulate, write_folder
from porebench.data.seed_format import read_file

EDGE = 4


def table(voxels, dtype=np.float64):
    """Rows x, y, z, flag of one volume."""
    axis = np.linspace(0, 1, len(voxels))
    rows = np.stack([*np.meshgrid(axis, axis, axis, indexing="ij"), voxels], axis=-1)
    return rows.reshape(-1, 4).astype(dtype)


@pytest.fixture
def volumes() -> Volumes:
    rng = np.random.default_rng(0)
    return Volumes(rng.random((5, EDGE, EDGE, EDGE)) < 0.3, np.array([0.5, 0.001, 0.999, 0.123, 0.5]), 1 / (EDGE - 1))


@pytest.fixture
def folder(tmp_path, volumes):
    write_folder(volumes, tmp_path / "packs")
    return tmp_path / "packs"


def test_what_is_written_is_read_again(folder, volumes):
    back, skipped = read_folder(folder)
    assert back.digest() == volumes.digest()
    assert back.voxel_size == 1 / (EDGE - 1)
    assert back.name == "packs"
    assert skipped == []


def test_files_look_like_the_published_ones(tmp_path):
    voxels = simulate([0.821], rng=0)
    write_folder(Volumes(voxels, np.array([0.821])), tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.name == "distribution_000_0.821.npy"
    rows = np.load(file, allow_pickle=False)
    assert rows.shape == (27000, 4)
    assert rows.dtype == np.float64
    np.testing.assert_allclose(rows[[1, 30, 900], :3], np.eye(3)[::-1] / 29)  # z is fastest
    np.testing.assert_array_equal(rows[:, 3], voxels.ravel())
    np.testing.assert_array_equal(read_folder(tmp_path)[0].voxels, voxels)


def test_rows_may_come_in_any_order(folder, volumes):
    rng = np.random.default_rng(1)
    for file in folder.iterdir():
        np.save(file, rng.permutation(np.load(file)))
    assert read_folder(folder)[0].digest() == volumes.digest()


@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_other_number_types_are_read(tmp_path, volumes, dtype):
    np.save(tmp_path / "a.npy", table(volumes.voxels[0], dtype))
    np.testing.assert_array_equal(read_file(tmp_path / "a.npy"), volumes.voxels[0])


def test_column_major_files_are_read(tmp_path, volumes):
    np.save(tmp_path / "a.npy", np.asfortranarray(table(volumes.voxels[0])))
    np.testing.assert_array_equal(read_file(tmp_path / "a.npy"), volumes.voxels[0])


def test_the_smallest_grid_has_two_points_an_axis(tmp_path):
    voxels = np.arange(8).reshape(1, 2, 2, 2) % 3 == 0
    write_folder(Volumes(voxels, np.array([0.5])), tmp_path)
    np.testing.assert_array_equal(read_folder(tmp_path)[0].voxels, voxels)


def test_order_is_by_index_even_past_999(folder, volumes):
    (folder / "distribution_000_0.500.npy").rename(folder / "distribution_1000_0.500.npy")
    back, _ = read_folder(folder)
    np.testing.assert_array_equal(back.voxels, volumes.voxels[[1, 2, 3, 4, 0]])


def test_files_of_other_kinds_are_ignored(folder):
    (folder / "notes.txt").write_text("hello")
    (folder / "._distribution_000_0.500.npy").write_bytes(b"resource fork")
    assert len(read_folder(folder)[0]) == 5


def test_a_folder_that_is_missing_or_empty_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"found no \.npy file"):
        read_folder(tmp_path)


def truncate(path, rows):
    np.save(path, rows)
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_the_header(path, rows):
    np.save(path, rows)
    path.write_bytes(path.read_bytes()[:50])


def lengthen(path, rows):
    np.save(path, rows)
    path.write_bytes(path.read_bytes() + b"\0" * 8)


def announce_a_huge_shape(path, rows):
    np.save(path, rows)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(64, 4), }            ", b"(9999999999999, 4), } "))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the file was unpickled",)


def objects(path, rows):
    np.save(path, np.array([[Bomb()] * 4] * len(rows)), allow_pickle=True)


def pickled(path, rows):
    path.write_bytes(b"\x80\x04N.")


def changed(row, column, value):
    def save(path, rows):
        rows[row, column] = value
        np.save(path, rows)

    return save


def saved(change):
    return lambda path, rows: np.save(path, change(rows))


BAD_CONTENT = {
    "truncated": (truncate, "is truncated: .*download it again"),
    "cut in the header": (cut_in_the_header, r"is no \.npy file"),
    "too long": (lengthen, "is damaged: .*download it again"),
    "huge header": (announce_a_huge_shape, r"is truncated: shape \(9999999999999, 4\)"),
    "empty": (lambda path, _: path.write_bytes(b""), r"is no \.npy file"),
    "text": (lambda path, _: path.write_text("0 0 0 1\n" * 64), r"is no \.npy file"),
    "pickle": (pickled, r"is no \.npy file"),
    "objects": (objects, "dtype object, which is refused"),
    "complex": (saved(lambda rows: rows.astype(complex)), "dtype complex128, which is refused"),
    "strings": (saved(lambda rows: rows.astype(str)), "expected an array of numbers"),
    "records": (saved(lambda rows: rows.view([("x", "f8")])), "expected an array of numbers"),
    "not a cube": (saved(lambda rows: rows[:-1]), r"expected shape \(m³, 4\).*got \(63, 4\)"),
    "three columns": (saved(lambda rows: rows[:, :3]), r"got \(64, 3\)"),
    "three axes": (saved(lambda rows: rows.reshape(4, 4, 4, 4)), r"got \(4, 4, 4, 4\)"),
    "one point": (saved(lambda rows: rows[:1]), r"got \(1, 4\)"),
    "no row": (saved(lambda rows: rows[:0]), r"got \(0, 4\)"),
    "a scalar": (saved(lambda rows: rows[0, 0]), r"got \(\)"),
    "not a number": (changed(3, 0, np.nan), "NaN or infinite"),
    "infinite flag": (changed(3, 3, np.inf), "NaN or infinite"),
    "flag of 2": (changed(3, 3, 2), "flags must be 0 .* got 2; threshold it first"),
    "probability": (changed(3, 3, 0.25), "flags must be 0 .* got 0.25"),
    "off the grid": (changed(3, 1, 0.1), r"row 3 at \(0, 0.1, 1\) is off the grid of 4 points"),
    "outside": (changed(3, 1, 1e300), r"coordinates must lie in \[0, 1\]"),
    "voxel units": (saved(lambda rows: rows * [3, 3, 3, 1]), "divide them by the edge"),
    "twice": (saved(lambda rows: rows[[0, *range(63)]]), "1 grid points occur more than once and 1 are missing"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD_CONTENT.values(), ids=BAD_CONTENT)
def test_a_bad_file_is_named_with_its_fix_or_left_out_on_request(folder, volumes, spoil, words):
    bad = folder / "distribution_002_0.999.npy"
    spoil(bad, table(volumes.voxels[2]))
    with pytest.raises(ValueError, match=rf"(?s)^{bad.name}: .*{words}.*--skip-bad") as caught:
        read_folder(folder)
    assert len(str(caught.value).splitlines()) == 1
    back, skipped = read_folder(folder, skip_bad=True)
    assert back.digest() == volumes[[0, 1, 3, 4]].digest()
    assert len(skipped) == 1
    assert re.match(f"{bad.name}: .*{words}", skipped[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pores.npy", "expected a name like distribution_000_0.500.npy"),
        ("distribution_007_high.npy", "expected a name like"),
        ("distribution_007_nan.npy", "expected a name like"),
        ("distribution_007_1.200.npy", r"density must lie in \[0, 1\], got 1.2"),
        ("distribution_007_-0.100.npy", r"density must lie in \[0, 1\], got -0.1"),
        (
            "distribution_0001_0.500.npy",
            "index 1 is taken by distribution_",
        ),
    ],
)
def test_a_bad_name_is_named_or_left_out_on_request(folder, volumes, name, words):
    np.save(folder / name, table(volumes.voxels[0]))
    with pytest.raises(ValueError, match=words):
        read_folder(folder)
    back, skipped = read_folder(folder, skip_bad=True)
    assert len(back) == 5
    assert len(skipped) == 1


def test_a_file_with_another_grid_than_most_is_bad(folder):
    np.save(folder / "distribution_000_0.500.npy", table(np.zeros((3, 3, 3))))
    with pytest.raises(ValueError, match=r"distribution_000_0\.500\.npy: has 3 points an axis, most files here have 4"):
        read_folder(folder)
    back, skipped = read_folder(folder, skip_bad=True)
    assert len(back) == 4
    assert len(skipped) == 1


def test_all_bad_files_are_reported(folder, volumes):
    (folder / "distribution_001_0.001.npy").write_bytes(b"")
    np.save(folder / "pores.npy", table(volumes.voxels[0]))
    back, skipped = read_folder(folder, skip_bad=True)
    assert len(back) == 4
    assert [message.split(":")[0] for message in skipped] == ["distribution_001_0.001.npy", "pores.npy"]


def test_a_folder_of_nothing_but_bad_files_is_an_error_even_if_they_may_be_skipped(tmp_path):
    (tmp_path / "distribution_000_0.500.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 1 \.npy files"):
        read_folder(tmp_path, skip_bad=True)


def test_files_are_never_overwritten(folder, volumes):
    with pytest.raises(FileExistsError, match="holds 5 distribution files already"):
        write_folder(volumes[:2], folder)
    assert read_folder(folder)[0].digest() == volumes.digest()


def test_only_cubes_can_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"got shape \(8, 9, 10\)"):
        write_folder(Volumes(np.zeros((1, 8, 9, 10), dtype=bool), np.array([0.5])), tmp_path)
