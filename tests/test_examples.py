"""The example scripts run as their users run them, with the real prior, on a second and a half of the bundled piano."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RUNS = {"chain.py": [], "parallel.py": [], "match.py": ["reference.wav", "reference.wav"], "watch.py": ["eq.json"]}


@pytest.mark.parametrize("name", RUNS)
def test_an_example_makes_what_it_says(tmp_path, name):
    for source, to in (("piano_78.flac", "in.wav"), ("piano_78_clean.flac", "reference.wav")):
        audio, rate = soundfile.read(EXAMPLES / source, frames=66150)
        soundfile.write(tmp_path / to, audio, rate)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, EXAMPLES / name, "in.wav", "out.wav", *RUNS[name]], cwd=tmp_path, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    given, _ = soundfile.read(tmp_path / "in.wav")
    made, made_rate = soundfile.read(tmp_path / "out.wav")
    assert made.shape == given.shape and made_rate == rate and np.abs(made - given).max() > 0.01
    if name == "match.py":
        before, after = (float(words.split()[-2]) for words in done.stdout.split("dB:")[1].split(","))
        assert after < before
    if name == "watch.py":
        assert "100%" in done.stdout and "response_db" in json.loads((tmp_path / "eq.json").read_text())


def test_examples_are_short():
    assert all(len((EXAMPLES / name).read_text().splitlines()) < 20 for name in RUNS)
