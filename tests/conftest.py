"""Fixtures for all tests."""

from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

# Of the tests in tests/properties: the same few files each time; or many others, with --hypothesis-profile=long.
hypothesis.settings.register_profile("ci", max_examples=50, derandomize=True, database=None, deadline=None,
                                     suppress_health_check=list(hypothesis.HealthCheck))
hypothesis.settings.register_profile("long", hypothesis.settings.get_profile("ci"), max_examples=1000,
                                     derandomize=False)
hypothesis.settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tests are of small tensors, which threads only slow down: twentyfold where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the repository; tests that need it skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip(f"needs the reference data in {folder}")
    return folder


@pytest.fixture(scope="session")
def make_notes():
    """make_notes(sample_rate=22050, duration_s=2.0, channels=1, seed=0): struck notes with falling partials.

    Returns (channels, samples) float32 with a peak of 0.5; the channels differ in their noise alone.
    """
    def make(sample_rate: int = 22050, duration_s: float = 2.0, channels: int = 1, seed: int = 0):
        rng = np.random.default_rng(seed)
        samples = max(1, round(sample_rate * duration_s))
        time_s = np.arange(samples) / sample_rate
        audio = np.zeros(samples)
        for onset_s in np.arange(0, duration_s, 0.25):
            pitch_hz = 440 * 2 ** (rng.integers(-24, 12) / 12)
            since_s = np.clip(time_s - onset_s, 0, None)
            for partial in range(1, 9):
                hz = pitch_hz * partial * np.sqrt(1 + 4e-4 * partial ** 2)  # a string is a little stiff
                if hz < min(sample_rate / 2, 3500):
                    fall = np.exp(-since_s * (2 + partial)) * (time_s >= onset_s) / partial ** 1.5
                    audio += fall * np.sin(2 * np.pi * hz * since_s)
        audio = 0.5 * audio / max(np.abs(audio).max(), 1e-9)
        noise = 1e-4 * rng.normal(size=(channels, samples))
        return (audio + noise).astype(np.float32)
    return make


@pytest.fixture(scope="session")
def reference(shared) -> Path:
    """Numbers of the published implementation."""
    return shared / "reference"
