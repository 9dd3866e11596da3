"""The page of goals says met, missed or not measured as the tables do."""

import json

import pytest

from porebench.benchmarks.goals import goal_documents


def _found(results) -> dict[str, tuple[str, str]]:
    documents, tables = goal_documents(results)
    assert tables == {}
    lines = documents[results / "goals.md"].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {goal: (found, met) for goal, found, met in cells}


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "spheres"
    folder.mkdir()
    rows = ["generator,band,metric,value"]
    for name, low, high in (("cvae", 1.5, 4.0), ("gaussian-field", 1.0, 11.0), ("pca", 9.0, 20.0), ("noise", 50, 50)):
        for band, value in (("0.0-0.2", low), ("0.2-0.4", high), ("all", high)):
            rows.append(f"{name},{band},nfr100,{value}")
    (folder / "accuracy.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_without_results_there_is_no_page(tmp_path) -> None:
    assert goal_documents(tmp_path) == ({}, {})


def test_a_goal_whose_table_is_missing_is_not_measured(results) -> None:
    found = _found(results)
    assert found["cvae-prior: NFR100 on spheres ≤ 3"] == ("not measured", "–")
    assert found["cvae: IoU at densities 0.4-0.6 ≥ 0.8"] == ("not measured", "–")
    assert found["pca: 15 × the volumes a second of porespy blobs, batch 64"] == ("not measured", "–")


def test_goals_are_judged_by_the_score_and_by_every_band(results) -> None:
    found = _found(results)
    assert found["cvae: NFR100 on spheres ≤ 6"] == ("4.00", "met")
    every = found["cvae: better than gaussian-field and pca in every band"]
    assert every == ("0.0-0.2: 1.50 against 1.00 of gaussian-field", "missed")


def test_overlap_is_averaged_over_the_volumes_of_a_range_of_densities(results) -> None:
    rows = "cvae,,0.41,0.9,3\ncvae,,0.59,0.5,1\ncvae,,0.61,0.1,9\ncvae-prior,,0.5,0.7,1\n"
    (results / "spheres" / "overlap.csv").write_text("generator,samples,density,iou,n\n" + rows)
    found = _found(results)
    assert found["cvae: IoU at densities 0.4-0.6 ≥ 0.8"] == ("0.80", "met")
    assert found["cvae-prior: IoU at densities 0.4-0.6 ≥ 0.8"] == ("0.70", "missed")


def test_counts_are_compared_with_the_spread_of_real_ones(results) -> None:
    head = "generator,exact_count,density,target,sd,bias\n"
    real = "real,,0.1,10,1,0\nreal,,0.5,100,5,0\nreal,,0.8,1000,20,0\n"
    drawn = "cvae,yes,0.5,100,0,90\ncvae,no,0.1,10,0,90\ncvae,no,0.5,100,9,-5\ncvae,no,0.8,1000,9,2.5\n"
    (results / "spheres" / "calibration.csv").write_text(head + real + drawn)
    goal = "cvae: mean count without projection within the real spread, densities 0.2-1"
    assert _found(results)[goal] == ("at 1 of 2 densities; mean 3.8 % off", "missed")


def test_speed_is_compared_within_the_run_of_the_peers(results) -> None:
    (results / "speed").mkdir()
    timed = (("peers", "pca", 64, 160.0), ("peers", "porespy blobs", 64, 10.0), ("sampling", "porespy blobs", 64, 99.0))
    benches = [
        {
            "group": group,
            "extra_info": {"generator": name, "volumes": volumes},
            "stats": {"median": volumes / rate, "data": [volumes / rate]},
        }
        for group, name, volumes, rate in timed
    ]
    (results / "speed" / "cpu.json").write_text(json.dumps({"benchmarks": benches}))
    assert _found(results)["pca: 15 × the volumes a second of porespy blobs, batch 64"] == ("16.0", "met")


def test_cost_is_read_from_the_timings_and_from_the_table_of_sizes(results) -> None:
    (results / "speed").mkdir()
    timed = (
        ("fit", "pca", {}, 448, 11.0, "cpu"),
        ("scoring", "descriptors", {"workers": 1}, 64, 9.0, "cpu"),
        ("scoring", "descriptors", {"workers": 2}, 64, 0.5, "cpu"),
        ("sampling", "cvae", {}, 512, 0.02, "cuda"),
    )
    benches = [
        {
            "group": group,
            "extra_info": {"generator": name, "volumes": volumes, "params": settings},
            "params": {"device": device},
            "stats": {"median": seconds, "data": [seconds]},
        }
        for group, name, settings, volumes, seconds, device in timed
    ]
    (results / "speed" / "cpu.json").write_text(json.dumps({"benchmarks": benches[:3]}))
    (results / "speed" / "gpu.json").write_text(json.dumps({"benchmarks": benches[3:]}))
    rows = ["generator,edge,volumes,block,seconds,before_bytes,peak_bytes"]
    for edge, volumes, seconds, memory in ((30, 1, 0.01, 1), (30, 64, 0.064, 1), (120, 1, 0.1, 2), (240, 1, 1, 242)):
        rows.append(f"gaussian-field,{edge},{volumes},0,{seconds},0,{memory * 1_000_000}")
    rows.append("sphere-packing,30,1,0,0.1,0,1000000")
    rows.append("sphere-packing,512,1,0,0.1,0,7000000000")
    (results / "speed" / "scaling.csv").write_text("\n".join(rows) + "\n")
    found = _found(results)
    assert found["pca: fitted in 10 s"] == ("11", "missed")
    assert found["512 volumes described in 8 s on two cores"] == ("4.0", "met")
    assert found["cvae: 512 volumes on a GPU in 10 ms"] == ("20.0", "missed")
    assert found["gaussian-field: time of 240³ ≤ 1.5 × 512 times that of one of 30³"] == ("0.20", "met")
    assert found["gaussian-field: time of 240³ ≤ 1.5 × 512 times that of one of 64 of 30³"] == ("1.95", "missed")
    assert found["gaussian-field: ≤ 16 bytes a voxel at 240³"] == ("19.8", "missed")
    assert found["gaussian-field: 512³ within 6 GB"] == ("not measured", "–")
    assert found["sphere-packing: 512³ within 6 GB"] == ("7", "missed")
    assert found["sphere-packing: ≤ 16 bytes a voxel at 240³"] == ("not measured", "–")
