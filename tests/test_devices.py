"""Training by several processes that Lightning starts, as on several GPUs or machines."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from porebench.generators.cvae.generator import CVAE

SCRIPT = """
import sys
import numpy as np
from porebench.generators.cvae import callbacks
from porebench.generators.cvae.generator import CVAE

callbacks.PATIENCE = 1
density = np.linspace(0.1, 0.9, 32)
volumes = np.broadcast_to(np.arange(9) < density[:, None, None, None] * 9, (32, 9, 9, 9)).copy()
generator = CVAE(
    width=8, encoder_blocks=1, decoder_blocks=1, prior_blocks=1, batch_size=8,
    epochs=40, quiet_epochs=40, learning_rate=1e-2, refine_epochs=10, refine_learning_rate=0.0,
)
generator.fit(volumes, density, rng=0, validation=(volumes[::4], density[::4]), machines=(2, 1))
again = generator.reconstruct(volumes, density)
generator.save(sys.argv[1])
print("epochs", generator.epochs_)
print("overlap", (again & volumes).sum() / (again | volumes).sum())
"""


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path) -> None:
    script, saved = tmp_path / "fit.py", tmp_path / "weights.safetensors"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parent.parent / "src")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "PYTEST"))}
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(script), str(saved)],
        env=plain | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "MEMBER: 2/2" in done.stderr  # what Lightning says of the second process
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("overlap"))
    assert float(line.split()[1]) > 0.8
    assert "epochs {'learn': 40, 'refine': 4}" in done.stdout, "the second ends since it learns nothing"
    assert CVAE.load(saved).sample(np.array([0.5]), rng=0).shape == (1, 9, 9, 9)
