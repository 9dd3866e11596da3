"""Rocks by name: fetched once and checked, described where they cannot be, and an import checked against its rock."""

import functools
import hashlib
import http.server
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from porebench import data
from porebench.benchmarks.audit.status import dataset_of
from porebench.data import datasets, rocks
from porebench.data.phase import Phase

KNOWN = {"berea", "ketton", "bentheimer", "doddington", "estaillades", "fontainebleau", "castlegate"}


@pytest.fixture
def server(tmp_path):
    """A folder, its address on this machine, and the requests that came in."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            asked.append(self.path)

    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_address[1]}", asked
        httpd.shutdown()


@pytest.fixture
def berea(server, tmp_path, monkeypatch):
    """The record of Berea, with the address and SHA-256 of a small image on this machine."""
    folder, address, _ = server
    image = np.where(np.random.default_rng(0).random((24, 16, 16)) < 0.2, 0, 255).astype(np.uint8)
    np.save(folder / "berea.npy", image)
    digest = hashlib.sha256((folder / "berea.npy").read_bytes()).hexdigest()
    rock = replace(rocks.rocks()["berea"], address=f"{address}/berea.npy", sha256=digest)
    monkeypatch.setattr(datasets, "rocks", lambda: {"berea": rock})
    monkeypatch.setattr(rocks, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return rock


def test_every_record_says_where_its_figures_come_from_and_where_the_image_is() -> None:
    assert set(rocks.rocks()) == KNOWN
    for rock in rocks.rocks().values():
        assert rock.title
        assert rock.source
        assert 0 < rock.porosity < 0.5
        assert (rock.address is None) == (rock.sha256 is None) == (rock.licence is None) == (rock.page is not None)
        assert rock.sha256 is None or len(bytes.fromhex(rock.sha256)) == 32


def test_a_rock_is_fetched_once_and_loaded_with_its_voxel_size_and_pores(berea, server) -> None:
    first = data.load("berea", block=8)
    assert (first.name, first.test.voxel_size) == ("berea-8", 5.345)
    assert "pore = 0 " in first.phase
    assert "; voxels of 5.345 µm" in first.phase
    server[0].joinpath("berea.npy").unlink()
    assert data.load("berea", block=8).digest() == first.digest()
    assert data.load_image("berea")[0].shape == (24, 16, 16)
    assert data.load_image("berea")[2].voxel == "5.345 µm"
    assert data.load_image("berea", voxel_size=2)[2].voxel == "2"
    assert len(server[2]) == 1


def test_looking_at_results_of_a_rock_downloads_nothing(berea, server) -> None:
    assert not data.at_hand("berea")
    assert dataset_of({"dataset": "berea"}, []) is None
    assert server[2] == []
    data.load("berea", block=8)
    assert data.at_hand("berea")


def test_a_file_of_that_name_comes_before_the_download(berea, server, tmp_path) -> None:
    (tmp_path / "data" / "berea").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "data" / "berea" / "mine.tif", np.random.default_rng(1).random((24, 16, 16)) < 0.2)
    assert data.load("berea", block=8).test.voxel_size == 1
    assert server[2] == []


def test_another_file_than_the_one_on_record_is_refused_and_not_kept(berea, server, tmp_path) -> None:
    (server[0] / "berea.npy").write_bytes(b"something else")
    with pytest.raises(ValueError, match="holds another file") as caught:
        data.load("berea")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_without_a_network_or_a_file_there_a_sentence_names_the_other_way(berea, server) -> None:
    server[0].joinpath("berea.npy").unlink()
    with pytest.raises(ConnectionError, match="--dataset path/to/berea"):
        rocks.fetch(berea)
    with pytest.raises(ConnectionError, match="with a network"):
        rocks.fetch(replace(berea, address="http://127.0.0.1:9/berea.npy"))


def test_what_cannot_be_fetched_says_where_to_get_it(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"imperial\.ac\.uk.*--dataset path/to/doddington\.raw"):
        data.load("doddington")


@pytest.mark.parametrize(
    ("name", "porosity", "words"),
    [
        ("Ketton_1000c_3p00006um", 0.13, ""),
        ("Ketton_1000c_3p00006um", 0.87, "swapped"),
        ("ketton", 0.3, "is it that rock"),
        ("kettonite", 0.87, ""),
        ("sample7", 0.87, ""),
    ],
)
def test_an_image_named_after_a_rock_is_checked_against_its_porosity(name, porosity, words) -> None:
    found = rocks.checked(Phase((0.0,), porosity, "of 0, 255"), name)
    assert words in found.warning
    assert bool(words) == bool(found.warning)


def test_an_image_with_swapped_phases_is_warned_of_on_loading(tmp_path) -> None:
    image = np.where(np.random.default_rng(0).random((24, 16, 16)) < 0.13, 255, 0).astype(np.uint8)
    np.save(tmp_path / "Ketton_small.npy", image)
    assert (
        "published porosity of 0.1269, the phases seem to be swapped"
        in data.load(tmp_path / "Ketton_small.npy", block=8).phase
    )
