import os
from pathlib import Path

import numpy as np
import pytest

from porebench import data
from porebench.data import NAMES, Volumes, datasets, load, write_folder
from porebench.data.export import write_volumes

ROCKS = Path(os.environ.get("POREBENCH_ROCKS", Path(__file__).parents[2] / "shared" / "rocks"))
needs_rocks = pytest.mark.skipif(not ROCKS.is_dir(), reason=f"needs the tomographies in {ROCKS} (POREBENCH_ROCKS)")


def packs(n, seed=0):
    rng = np.random.default_rng(seed)
    return Volumes(rng.random((n, 3, 3, 3)) < 0.5, np.round(rng.random(n), 3), 0.5)


def rows(volumes):
    return sorted((d, v.tobytes()) for d, v in zip(volumes.density, volumes.voxels, strict=True))


@pytest.fixture
def image(tmp_path):
    """A random image of 8 x 21 x 9 voxels: seven layers of blocks of edge 3 along its longest axis."""
    volume = np.random.default_rng(0).random((8, 21, 9)) < 0.4
    np.save(tmp_path / "my rock (2).npy", volume)
    return tmp_path / "my rock (2).npy", volume


def test_every_name_of_the_list_is_a_simulated_data_set():
    assert NAMES == ("spheres", "spheres-small", "spheres-wide", "spheres-hard", "spheroids")
    assert data.load is load


def test_a_data_set_knows_the_law_that_it_is_simulated_from(tmp_path):
    write_folder(packs(4), tmp_path / "spheres")
    assert load("spheres-wide").law is data.LAWS["spheres-wide"]
    assert load(tmp_path / "spheres").law is None
    assert [data.is_simulated(name) for name in ("spheres", "spheres-files", Path("spheres"))] == [True, False, False]


def test_loading_twice_gives_equal_data_in_separate_memory():
    first, second = load("spheres-small"), load("spheres-small")
    assert first.digest() == second.digest()
    assert not np.shares_memory(first.train.voxels, second.train.voxels)
    assert not np.shares_memory(first.train.voxels, first.validation.voxels)


def test_a_folder_is_split_by_density_into_parts_that_share_nothing(tmp_path):
    volumes = packs(512)
    write_folder(volumes, tmp_path / "mine")
    dataset = load(tmp_path / "mine")
    assert [len(part) for part in dataset] == [307, 77, 128]
    assert dataset.name == dataset.train.name == "mine"
    assert dataset.density_kind == "factor"
    assert dataset.test.voxel_size == 0.5
    assert rows(volumes) == sorted(row for part in dataset for row in rows(part))
    bands = np.quantile(volumes.density, np.linspace(0, 1, 9))
    for part in dataset:
        share = np.histogram(part.density, bins=bands)[0] / len(part)
        np.testing.assert_allclose(share, 1 / 8, atol=0.04)
    assert load(str(tmp_path / "mine")).digest() == dataset.digest()


@pytest.mark.parametrize(("n", "expected"), [(1, [1]), (2, [1, 0]), (3, [1, 2, 0]), (9, [1, 3, 2, 4, 0])])
def test_volumes_spread_over_density_come_in_its_order_equals_as_they_stood(n, expected):
    volumes = Volumes(np.random.default_rng(0).random((5, 3, 3, 3)) < 0.5, np.array([0.9, 0.1, 0.5, 0.3, 0.5]))
    assert data.spread(volumes.density, n).tolist() == expected
    assert volumes.spread(n).digest() == volumes[expected].digest()


@pytest.mark.parametrize("n", [3, 4, 5, 7, 10])
def test_no_part_of_a_small_folder_is_empty(tmp_path, n):
    write_folder(packs(n), tmp_path)
    sizes = [len(part) for part in load(tmp_path)]
    assert sum(sizes) == n
    assert min(sizes) >= 1


def test_two_volumes_are_too_few(tmp_path):
    write_folder(packs(2), tmp_path)
    with pytest.raises(ValueError, match=r"at least 3 volumes, .* has 2; add files"):
        load(tmp_path)


def test_bad_files_are_left_out_with_a_warning_on_request(tmp_path, caplog):
    write_folder(packs(9), tmp_path)
    (tmp_path / "pores.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pores\.npy"):
        load(tmp_path)
    assert sum(len(part) for part in load(tmp_path, skip_bad=True)) == 9
    assert "left out pores.npy" in caplog.text


def test_an_image_is_split_into_slabs_along_its_longest_axis(image):
    path, volume = image
    dataset = load(path, block=3, voxel_size=5.345)
    assert dataset.density_kind == "porosity"
    assert dataset.name == "my-rock-2-3"
    slabs = (volume[:, :15], volume[:, 15:18], volume[:, 18:])
    for part, slab in zip(dataset, slabs, strict=True):
        np.testing.assert_array_equal(part.voxels, data.blocks(slab, 3))
        np.testing.assert_allclose(part.density, part.porosity)
        assert part.name == "my-rock-2-3"
        assert part.voxel_size == 5.345
    assert load(path, block=3).train.voxel_size == 1.0
    assert load(path, block=3, pore=0).train.porosity.mean() > 0.5 > dataset.train.porosity.mean()


@pytest.mark.parametrize(
    ("layers", "expected"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (7, (5, 1, 1)), (8, (4, 2, 2)), (13, (7, 3, 3))]
)
def test_a_quarter_of_the_layers_is_held_out_twice(tmp_path, layers, expected):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((2 * layers + 1, 2, 2)) < 0.5)
    assert tuple(len(part) for part in load(tmp_path / "a.npy", block=2)) == expected


@pytest.mark.parametrize(("block", "largest"), [(8, 7), (30, 7), (0, 7)])
def test_too_few_layers_raise_with_the_block_that_would_do(image, block, largest):
    with pytest.raises(ValueError, match=f"fewer than 3 layers .* use a block between 1 and {largest}"):
        load(image[0], block=block)
    assert min(len(part) for part in load(image[0], block=largest)) >= 1


def test_raw_images_are_described_by_the_caller(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes([0, 1] * 54))
    dataset = load(tmp_path / "a.raw", block=2, shape=(12, 3, 3), dtype="u1")
    assert [len(part) for part in dataset] == [4, 1, 1]


def test_a_data_set_says_what_was_taken_for_pore(image):
    path, volume = image
    said = f"pore = 1 (of 0, 1; True in a boolean array), porosity {volume.mean():.3f}; others write True for solid"
    assert load(path, block=3).phase.startswith(said)
    assert load("spheres-small").phase == ""


def test_options_that_an_image_does_not_have_are_refused(image):
    for given in (image[0], "spheres"):
        with pytest.raises(TypeError, match="load takes no pore_value; an image has pore, threshold"):
            load(given, pore_value=0)


@pytest.mark.parametrize("kind", ["npz", "npy", "tiff", "raw", "nrrd", "hdf5", "vti"])
def test_volumes_that_were_sampled_are_a_data_set(tmp_path, kind):
    drawn = Volumes(packs(9).voxels, packs(9).density, name="noise")
    write_volumes(drawn, tmp_path / "out", kind)
    loaded = load(tmp_path / "out")
    assert loaded.density_kind == "factor"
    assert sorted(row for part in loaded for row in rows(part)) == rows(drawn)


def test_several_volumes_in_an_array_are_a_data_set_of_their_own_porosity(tmp_path):
    np.save(tmp_path / "several.npy", packs(9).voxels)
    loaded = load(tmp_path / "several.npy")
    assert loaded.density_kind == "porosity"
    assert sum(len(part) for part in loaded) == 9
    np.testing.assert_allclose(loaded.test.density, loaded.test.porosity)


def test_a_folder_with_one_image_stands_for_the_image(image):
    path, _ = image
    path.rename(path.with_suffix(".npy.bak"))
    np.savez(path.with_name("rock.npz"), np.load(path.with_suffix(".npy.bak")))
    assert load(path.parent, block=3).name == "rock-3"


def test_what_lies_in_the_data_folder_is_found_by_name(tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    monkeypatch.setattr(datasets, "_HERE", clone / "data")
    monkeypatch.chdir(tmp_path)
    write_folder(packs(4), clone / "data" / "published")
    with pytest.raises(ValueError, match=r"'published', or data.published: use"):
        load("published")  # without pyproject.toml beside it data/ is part of an installation
    (clone / "pyproject.toml").touch()
    assert load("published").name == "published"
    write_folder(packs(8), Path("data", "published"))
    assert sum(len(part) for part in load("published")) == 8


@pytest.mark.parametrize(
    ("stem", "name"),
    [("Sandstein Nr. 5", "Sandstein-Nr.-5"), ("..", "volumes"), ("多孔", "volumes"), ("spheres", "spheres-files")],
)
def test_names_are_safe_for_folders_and_never_those_of_built_in_sets(stem, name):
    assert datasets._safe_name(stem) == name


@pytest.mark.parametrize("name", ["sphere", "Spheres", ""])
def test_an_unknown_name_lists_the_known_ones_and_the_path_that_was_tried(name):
    with pytest.raises(
        ValueError, match=f"no data set, file or folder '{name}', or .*spheres, spheres-small.*existing path"
    ):
        load(name)


@pytest.mark.parametrize("path", ["no/where", "./nowhere", "rock.tif", Path("nowhere"), "~/no-such-folder"])
def test_a_path_that_leads_nowhere_is_not_found(path):
    with pytest.raises(FileNotFoundError, match="existing path"):
        load(path)


@needs_rocks
def test_berea_is_split_in_seven_three_and_three_layers():
    dataset = load(ROCKS / "berea.zip", voxel_size=5.345)
    assert dataset.name == "berea"
    assert [len(part) for part in dataset] == [7 * 169, 3 * 169, 3 * 169]
    assert dataset.test.porosity.mean() == pytest.approx(0.187, abs=0.001)
