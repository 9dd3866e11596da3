import json
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from porebench.benchmarks.report.accuracy import accuracy_markdown, compact_table
from porebench.benchmarks.report.documents import documents, outdated_reports, write_reports
from porebench.benchmarks.report.speed import rival_table, sampling_table, speed_markdown
from porebench.benchmarks.store.digests import ROOT
from porebench.benchmarks.store.results import RANK_COLUMNS, TIE_COLUMNS, Order, Run, read_table
from porebench.benchmarks.store.timings import merged, timings_of


def _bench(name: str, volumes: int, rate: float, device: str = "cpu", group: str = "sampling") -> dict:
    return {
        "group": group,
        "params": {"device": device} if group == "sampling" else None,
        "stats": {"median": volumes / rate, "iqr": 0.0, "data": [1.0]},
        "extra_info": {
            "generator": name,
            "volumes": volumes,
            "volumes_per_second": rate,
            "device": "GPU of a test" if device == "cuda" else "a processor",
            "devices": ["cpu", "cuda"] if name == "cvae" else ["cpu"],
        },
    }


PEER = _bench("porespy blobs", 64, 200.0, group="peers")


def test_cpu_speed_is_a_ratio_and_gpu_speed_a_time() -> None:
    timed = [_bench("cvae", 64, 600.0), _bench("cvae", 512, 51200.0, "cuda"), _bench("pca", 64, 100.0), PEER]
    lines = sampling_table(merged(timed), {})
    assert "512 volumes on GPU of a test" in lines[0]
    assert "| cvae | 3 | – | 10.0 ms |" in lines
    assert "| pca | 0.5 | – | CPU only |" in lines


def test_rows_stand_in_the_order_of_the_registry_and_the_newest_timing_counts() -> None:
    old, new = (
        _run([_bench(name, 64, rate) for name, rate in rates])
        for rates in (
            [("my-own", 100.0), ("pca", 100.0), ("cvae", 100.0), ("porespy blobs", 200.0)],
            [("pca", 400.0)],
        )
    )
    old["benchmarks"][-1]["group"] = "peers"
    found = timings_of([new | {"datetime": "2026-02-01T00:00:00"}, old])
    lines = sampling_table(found, {})
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:5]] == ["cvae", "pca", "my-own"]
    assert "| pca | 2 |" in lines[3]


def test_what_no_gpu_ran_is_not_measured() -> None:
    assert "| cvae | 3 | – | not measured |" in sampling_table(merged([_bench("cvae", 64, 600.0), PEER]), {})


def test_without_a_peer_in_the_run_there_is_no_ratio() -> None:
    assert "| cvae | – | – | not measured |" in sampling_table(merged([_bench("cvae", 64, 600.0)]), {})


def _peer(name: str, edge: int, seconds: float, block: int, **info) -> dict:
    bench = _bench(name, 2, 2 / seconds, group="peers")
    bench["extra_info"] |= {"edge": edge, "block": block, "params": {"size": 1.5}, "mean_chord": 3.25, **info}
    return bench


def test_ratios_to_other_toolboxes_are_taken_block_by_block() -> None:
    timed = [_peer("gaussian-field", 30, second, block) for block, second in enumerate((1.0, 2.0, 4.0))]
    timed += [_peer("porespy blobs", 30, second, block) for block, second in enumerate((10.0, 40.0, 60.0))]
    timed += [_peer("gaussian-field", 60, 1.0, 0), _peer("porespy blobs", 60, 20.0, 0, gave_up=20.0)]
    table = rival_table(merged(timed))
    assert table[0] == "| generator | beside | 30³, batch 2 | 60³, batch 2 |"
    assert table[2] == "| gaussian-field | porespy blobs | 15 (10–20) | > 20 |"
    text = speed_markdown([_run(timed)], {})
    assert "| gaussian-field | 30³ × 2 | size 1.5 | – | 3.25 | 1e+03 | 150 % | – |" in text
    assert "| porespy blobs | 60³ × 2 | size 1.5 | – | 3.25 | > 1e+04 | – | – |" in text


def test_descriptors_stand_beside_the_calls_of_other_packages() -> None:
    timed = []
    for by, seconds in (("porebench", 0.1), ("calls", 2.0)):
        bench = _bench("chords", 10, 10 / seconds, group="descriptors")
        bench["extra_info"]["params"] = {"by": by, "calls": "their call"}
        timed.append(bench)
    assert "| chords | their call | 10 | 200 | 20 |" in speed_markdown([_run(timed)], {})


def test_hard_shapes_stand_beside_blobs_with_as_many_pores() -> None:
    timed = []
    for by, seconds in (("shape", 0.06), ("blobs", 0.02)):
        bench = _bench("a comb", 1, 1 / seconds, group="shapes")
        bench["extra_info"] |= {"params": {"by": by, "share": 0.25}, "edge": 60}
        timed.append(bench)
    text = speed_markdown([_run(timed)], {})
    assert "| a comb | 25 | 60 | 20 | 3 |" in text
    assert "Volumes of 60³." in text
    assert "a comb" not in speed_markdown([_run(timed[:1])], {})


def test_the_limit_of_the_machine_is_shown_where_it_was_measured(tmp_path) -> None:
    bench = _bench("pca", 64, 100.0)
    bench["extra_info"] |= {"operations": 1e6, "bytes": 1e3, "arithmetic": "float32"}
    limits = [_bench(kind, 1, 1.0, group="limits") for kind in ("float32", "bfloat16", "memory")]
    for limit in limits:
        limit["extra_info"]["amount"] = 1e9
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "cpu.json").write_text(json.dumps(_run([bench, *limits])))
    texts = documents(tmp_path)
    assert pd.read_csv(StringIO(texts[tmp_path / "speed" / "roofline.csv"]))["share"].item() == pytest.approx(0.1)
    text = texts[tmp_path / "speed" / "speed.md"]
    assert "| pca | cpu | 1 | 1 | 1e+03 (arithmetic) | 1e+04 | 10 % |" in text
    assert "How near" not in speed_markdown([_run([bench])], {})


def _run(timed: list[dict]) -> dict:
    machine = {"processor": "a processor", "threads": 2, "commit": "abc"}
    return {"datetime": "2026-01-01T00:00:00", "machine_info": machine, "benchmarks": timed}


def _manifest(**records: dict) -> dict:
    run = {"dataset": "tiny", "n_test": 5, "seed": 0, "quick": False}
    stamp = {"date": "2026-01-01", "command": "porebench evaluate", "processor": "a processor"}
    return {"run": run, "generators": {name: {**record, **stamp} for name, record in records.items()}}


SCORED = {"status": "scored", "fit_seconds": 1.0, "sample_milliseconds": 2.0}


def _table(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    columns = ["generator", "band", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).assign(ci_low=0.5, ci_high=20.0, n_generated=5, n_real=5)


def _run_of(table: pd.DataFrame, **records: dict) -> Run:
    return Run(Path("tiny"), table, _manifest(**records))


def test_generators_are_ranked_by_score_and_failures_give_their_reason() -> None:
    table = _table(("b", "all", "nfr100", 2.0), ("a", "all", "nfr100", 12.0))
    failed = {"status": "failed", "phase": "sample", "reason": "it\nbroke | badly"}
    text = accuracy_markdown(_run_of(table, a=SCORED, b=SCORED, c=failed))
    assert text.index("| b | 2.00 [0.50, 20.0]") < text.index("| a | 12.0 [0.50, 20.0]")
    assert "| c | sample | it broke / badly |" in text


def test_a_table_says_when_its_bands_are_small() -> None:
    few = _table(("a", "all", "nfr100", 2.0), ("a", "low", "nfr100", 2.0), ("a", "high", "nfr100", 2.0))
    few["n_real"] = [93, 43, 50]
    assert "A band holds 43 to 50 of them, where 100 are advised" in accuracy_markdown(_run_of(few, a=SCORED))
    few["n_real"] = [120, 60, 60]
    assert "where 100 are advised" not in accuracy_markdown(_run_of(few, a=SCORED))


def test_numbers_that_do_not_exist_are_dashes() -> None:
    text = accuracy_markdown(_run_of(_table(("a", "all", "nfr100", 2.0)), a=SCORED))
    assert "| a | 2.00 [0.50, 20.0] | – |" in text


def test_missing_results_name_the_command_that_makes_them(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="porebench evaluate --dataset berea"):
        read_table(tmp_path / "berea")


def _one_result(tmp_path: Path) -> tuple[Path, Path]:
    """A results folder with one generator's row, and a document with a place for its table."""
    folder = tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    _table(("a", "all", "nfr100", 2.0)).to_csv(folder / "accuracy.csv", index=False)
    (folder / "manifest.json").write_text(json.dumps(_manifest(a=SCORED)))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table tiny -->\n<!-- end -->\n")
    return folder, readme


def test_reports_are_written_again_from_the_files_alone(tmp_path) -> None:
    folder, readme = _one_result(tmp_path)
    written = write_reports(tmp_path / "results", readme)
    assert set(written) == {folder / "accuracy.md", readme}
    assert "| a | 2.00" in readme.read_text()
    assert "| a | 2.00" in (folder / "accuracy.md").read_text()


def test_the_speed_report_names_machine_and_commit() -> None:
    text = speed_markdown([_run([_bench("cvae", 64, 600.0), PEER, _bench("pca", 448, 200.0, group="fit")])], {})
    assert "2026-01-01: a processor, 2 threads, abc" in text
    assert "| pca | 2.24 | – | – | 1 |" in text


def test_speed_of_another_version_than_the_accuracy_is_not_shown_beside_it() -> None:
    bench = _bench("cvae", 64, 600.0)
    bench["extra_info"]["digest"] = "one"
    gpu = _bench("cvae", 512, 51200.0, "cuda")
    gpu["extra_info"]["digest"] = "one"
    assert "| cvae | 3 | – | 10.0 ms |" in sampling_table(merged([bench, gpu, PEER]), {"cvae": "one"})
    lines = sampling_table(merged([bench, gpu, PEER]), {"cvae": "two"})
    assert "| cvae | stale | – | stale |" in lines
    assert "make bench" in lines[-1]


def test_the_documents_hold_the_tables_that_are_in_the_results() -> None:
    assert outdated_reports(ROOT / "results", ROOT / "README.md") == []


def test_a_doctored_table_is_noticed(tmp_path) -> None:
    _, readme = _one_result(tmp_path)
    write_reports(tmp_path / "results", readme)
    assert outdated_reports(tmp_path / "results", readme) == []
    readme.write_text(readme.read_text().replace("2.00", "1.00"))
    assert outdated_reports(tmp_path / "results", readme) == [readme]


def test_the_compact_table_fits_a_terminal() -> None:
    told = "gives itself away by: direction (lineal path along height), local-thickness distribution"
    slow = {"status": "scored", "fit_seconds": 12345.67, "sample_milliseconds": 1234.567, "verdict": told}
    names = ["sphere-packing", "a name that is longer than a column", "b"]
    rows = [(name, "all", metric, value) for name in names for metric, value in (("nfr100", 123.4), ("copy_rate", 1.0))]
    table = _table(*rows).drop_duplicates(["generator", "metric"], keep="last").assign(ci_low=101.23, ci_high=234.56)
    ranking = [(name, "nothing", "", 123.4, 10, True) for name in names]
    order = Order(pd.DataFrame(ranking, columns=list(RANK_COLUMNS)), pd.DataFrame(columns=list(TIE_COLUMNS)))
    run = Run(Path("tiny"), table, _manifest(**dict.fromkeys(names, slow)), order)
    lines = compact_table(run)
    assert max(map(len, lines)) <= 100
    assert lines[0].split("  ")[0] == "rank"
    assert "10=" in lines[1]
    assert "123.4 [101.2, 234.6]" in lines[1]
    assert "  direction (lineal path alo…  100.0" in lines[3]
    assert lines[3].split()[-3:] == ["100.0", "12345.7", "1234.57"]
