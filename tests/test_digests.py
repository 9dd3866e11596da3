"""Digests follow the meaning of code: what decides a number changes them, what explains or places it does not."""

from pathlib import Path

import pytest

from porebench import generators
from porebench.benchmarks.evaluate.draw import sampled
from porebench.benchmarks.evaluate.score import DESCRIBING, SCORING
from porebench.benchmarks.evaluate.side_tables import SIDE_TABLES
from porebench.benchmarks.store.digests import code_digest, reached

HELPER = '''
"""Helps."""
import math

FACTOR = 2.0
"""A factor."""
UNUSED = 3


def scaled(value: float, power: int = 1) -> float:
    """Return a scaled value."""
    return value * FACTOR**power  # why so


def other() -> float:
    return math.pi
'''
MAIN = '''
import helper
from helper import scaled


class Model:
    """A model."""

    def draw(self, value):
        return scaled(value) + 1

    def late(self):
        from helper import other as found
        return found()


def area(value):
    return helper.FACTOR * value
'''


@pytest.fixture
def project(tmp_path):
    """A user's two files; returns a function that digests a definition after changes of the text."""

    def digest(name: str = "Model", *, helper: tuple[str, str] = ("", ""), main: tuple[str, str] = ("", "")) -> str:
        (tmp_path / "helper.py").write_text(HELPER.replace(*helper))
        (tmp_path / "main.py").write_text(MAIN.replace(*main))
        return code_digest(_Root(tmp_path / "main.py", name))

    return digest


def _Root(path: Path, name: str):  # noqa: N802 - makes a class
    """A class as if it came from a file."""
    scope: dict[str, object] = {"__name__": "user"}
    exec(compile(f"def {name}(): ...", str(path), "exec"), scope)  # noqa: S102 - the test's own text
    return scope[name]


@pytest.mark.parametrize(
    "change",
    [
        {"helper": ("# why so", "# because")},
        {"helper": ("Return a scaled value.", "Scale a value.")},
        {"helper": ('"""A factor."""', '"""The factor."""')},
        {"helper": ("value: float, power: int = 1", "value, power=1")},
        {"helper": ("import math\n", "import math\nimport sys\n")},
        {"helper": ("UNUSED = 3", "UNUSED = 4")},
        {"helper": ("return value * FACTOR**power", "\n    return value * FACTOR ** power")},
        {"main": ("import helper\nfrom helper import scaled", "from helper import scaled\nimport helper")},
        {"main": ("return helper.FACTOR * value", "return value")},
    ],
    ids=["comment", "docstring", "constant's docstring", "hints", "import", "unused", "layout", "order", "other"],
)
def test_what_has_no_meaning_for_a_definition_leaves_its_digest(project, change) -> None:
    assert project(**change) == project()


@pytest.mark.parametrize(
    "change",
    [
        {"helper": ("FACTOR = 2.0", "FACTOR = 2.5")},
        {"helper": ("power: int = 1", "power: int = 2")},
        {"helper": ("value * FACTOR", "value / FACTOR")},
        {"helper": ("math.pi", "math.e")},
        {"main": ("+ 1", "+ 2")},
    ],
    ids=["constant", "default", "operator", "import inside a method", "own code"],
)
def test_what_decides_a_number_changes_the_digest(project, change) -> None:
    assert project(**change) != project()


def test_only_what_reaches_a_constant_follows_it(project) -> None:
    assert project("area", helper=("FACTOR = 2.0", "FACTOR = 3.0")) != project("area")
    assert project("area", helper=("math.pi", "math.e")) == project("area")


def test_a_moved_definition_leaves_the_digest(project, tmp_path) -> None:
    before = project()
    (tmp_path / "helper.py").rename(tmp_path / "tools.py")
    (tmp_path / "main.py").write_text(MAIN.replace("helper", "tools"))
    assert code_digest(_Root(tmp_path / "main.py", "Model")) == before
    moved = HELPER.partition("def other")
    (tmp_path / "tools.py").write_text(moved[0] + "from more import other\n")
    (tmp_path / "more.py").write_text("import math\n" + moved[1] + moved[2])
    assert code_digest(_Root(tmp_path / "main.py", "Model")) == before


def test_a_name_that_is_not_defined_is_an_error() -> None:
    with pytest.raises(LookupError, match="defines no nothing"):
        code_digest("metrics.descriptors:nothing")


def _names(*roots) -> set[str]:
    return {f"{module.path.parent.name}/{module.path.stem}:{name}" for module, name in reached(*roots)}


def test_a_generator_reaches_its_law_its_base_and_no_other_generator() -> None:
    names = _names(generators.get("gaussian-field"))
    assert {"generators/base:Generator", "generators/porosity_law:PorosityLaw"} <= names
    assert {"generators/binarise:keep_highest", "generators/hartley:spectrum"} <= names
    assert not {name for name in names if name.startswith(("generators/pca", "cvae/", "metrics/", "store/"))}


def test_scores_reach_what_makes_rows_and_neither_options_nor_bars() -> None:
    names = _names(*DESCRIBING, *SCORING)
    assert {"evaluate/rows:score_rows", "metrics/descriptors:describe", "metrics/novelty:judge_novelty"} <= names
    files = {name.partition(":")[0] for name in names}
    assert not files & {"evaluate/options", "evaluate/progress", "evaluate/accuracy", "store/cells", "evaluate/draw"}


def test_calibration_reaches_the_law_and_the_free_count_of_the_generator() -> None:
    calibration = next(table for table in SIDE_TABLES if table.stage == "calibration")
    assert calibration.draws, "its rows depend on the fit and its weights"
    names = _names(*calibration.code)
    assert {"generators/porosity_law:PorosityLaw", "evaluate/side_tables:counts", "metrics/curves:calibration"} <= names


def test_draws_reach_the_stream_that_they_are_drawn_from() -> None:
    assert "evaluate/options:Stream" in _names(sampled)
