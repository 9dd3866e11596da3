"""Where the results of a run lie, and how its files are read: strictly, since they may have been damaged or edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

COLUMNS = ("generator", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real")


def run_folder(out: Path, dataset: str, seed: int) -> Path:
    """Where the results of a data set and seed lie: seed 0 on top, the others in folders below it."""
    return out / dataset if seed == 0 else out / dataset / f"seed-{seed}"


def run_folders(results: Path) -> list[Path]:
    """Folders below the results folder that hold a run: one a data set and seed."""
    return sorted(path.parent for pattern in ("*", "*/seed-*") for path in results.glob(f"{pattern}/manifest.json"))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        ValueError: if it is damaged.
        FileNotFoundError: if there is none, naming the command that makes one.
    """
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        run, records = content["run"], content["generators"]
        known = all(isinstance(run[name], kind) for name, kind in _RUN.items())
        known &= all(_is_record(record) for record in records.values())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no results in {folder}; make them with: porebench evaluate --dataset {folder.name}"
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}); make it again with porebench evaluate"
        ) from error
    if not known:
        raise ValueError(f"{path} is not the manifest of a run; make it again with porebench evaluate")
    return dict(content)


_RUN = {"dataset": str, "n_test": int, "seed": int, "quick": bool}
_TEXTS = {"scored": ("date", "command"), "failed": ("phase", "reason")}


def _is_record(record: dict[str, Any]) -> bool:
    cells = record.get("cells", {})
    return (
        all(isinstance(record[name], str) for name in _TEXTS[record["status"]])
        and (record["status"] == "failed" or all(record[name] >= 0 for name in ("fit_seconds", "sample_milliseconds")))
        and all(isinstance(value, str) for cell in cells.values() for value in cell["inputs"].values())
    )


def read_table(folder: Path) -> pd.DataFrame:
    """The rows of ``accuracy.csv``.

    Raises:
        ValueError: if it is damaged.
        FileNotFoundError: if there is none, naming the command that makes one.
    """
    path = folder / "accuracy.csv"
    try:
        table = pd.read_csv(path)
        numbers = table[list(COLUMNS[3:])].apply(pd.to_numeric)
        texts = table[list(COLUMNS[:3])].astype(str)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no results in {folder}; make them with: porebench evaluate --dataset {folder.name}"
        ) from None
    except (ValueError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is damaged ({reason}); make it again with porebench evaluate") from error
    if texts.duplicated().any():
        raise ValueError(f"{path} states a number twice; make it again with porebench evaluate")
    return pd.concat([texts, numbers], axis=1)[list(COLUMNS)]


def read_accuracy(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """``read_table`` and ``read_manifest``."""
    return read_table(folder), read_manifest(folder)
