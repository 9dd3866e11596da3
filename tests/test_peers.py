import time

import numpy as np
import pytest

from porebench.benchmarks.speed.peers import PEERS, Settings, deadline, matched, peer_settings
from porebench.metrics.morphology import mean_chord

POROSITY, CHORD = 0.2, 3.4


@pytest.mark.parametrize("name", [name for name in PEERS if not name.endswith("polydisperse_spheres")])
def test_a_peer_is_matched_in_porosity_and_mean_chord(name) -> None:
    if name.startswith("gstools"):
        pytest.importorskip("gstools", reason="needs porebench[dev]")
    settings = peer_settings(name, 24, POROSITY, CHORD)
    few = 1 if name.startswith("gstools") else 8
    drawn = np.stack([PEERS[name].draw(24, settings, seed) for seed in range(100, 100 + few)])
    assert drawn.dtype == np.bool_
    assert drawn.shape == (few, 24, 24, 24)
    assert drawn.mean() == pytest.approx(POROSITY, rel=0.15)
    assert mean_chord(drawn).mean() == pytest.approx(CHORD, rel=0.25)


def test_matching_finds_the_size_and_the_amount_of_pore() -> None:
    def slabs(edge, settings, seed):
        """Slabs half as thick as asked for, with 2 % less pore."""
        volume = np.zeros((edge, edge, edge), dtype=bool)
        thick = max(1, round(settings.size / 2))
        count = round(max(settings.pore - 0.02, 0) * edge / thick)
        for start in np.linspace(1, edge - thick - 1, count).astype(int):
            volume[start : start + thick] = True
        return volume

    settings = matched(slabs, 40, 0.3, 4.0, 2.0)
    assert settings.size == pytest.approx(8, abs=1)
    drawn = slabs(40, settings, 0)[None]
    assert drawn.mean() == pytest.approx(0.3, abs=0.03)
    assert mean_chord(drawn).item() == 4


def test_polydisperse_spheres_have_radii_around_the_size() -> None:
    drawn = PEERS["porespy polydisperse_spheres"].draw(16, Settings(2.0, 0.2), 0)
    assert drawn.dtype == np.bool_
    assert 0.1 < drawn.mean() < 0.4


def test_what_takes_too_long_is_stopped_and_the_alarm_is_off_afterwards() -> None:
    with pytest.raises(TimeoutError, match=r"more than 0\.05 s"), deadline(0.05):
        time.sleep(10)
    with deadline(0.05):
        pass
    time.sleep(0.1)
