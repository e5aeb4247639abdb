"""Training: material, loss, resuming, and that a few steps teach something."""

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.priors import Emphasis, load_prior
from babe2_fx.training.material import Material, flattening, power_spectrum
from babe2_fx.training.train import Trainer, TrainingConfig, train
from standin import TINY

CONFIG = TrainingConfig(batch=2, crop=32768, warmup_steps=1, learning_rate=3e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_notes):
    data = tmp_path_factory.mktemp("data")
    for part, count in (("train", 3), ("heldout", 1)):
        (data / part).mkdir()
        for i in range(count):
            soundfile.write(data / part / f"{i}.flac", make_notes(22050, 3.0, seed=i).T, 22050)
    return data


def test_flattening_takes_its_share_of_the_slope():
    hz = torch.linspace(0, 11025, 2049)
    power = 10 ** (-12 * torch.log2(hz.clamp(min=50) / 1000) / 10)  # 12 dB an octave
    gain = flattening(power, 22050, 0.5, 86)
    slope = (np.interp(4000, hz, gain) - np.interp(500, hz, gain)) / 3
    assert slope == pytest.approx(6, abs=0.3)


def test_emphasised_material_is_flatter_and_at_its_level(folder):
    files = sorted((folder / "train").glob("*.flac"))
    plain = Material(files, 22050, 0.063, None)
    gain = flattening(power_spectrum([r.float() for r in plain.recordings], 4096), 22050, 0.6, 86)
    flat = Material(files, 22050, 0.063, Emphasis(gain))
    assert float(flat.recordings[0].float().std()) == pytest.approx(0.063, rel=0.02)
    tilt = [power_spectrum([r.float() for r in m.recordings], 2048) for m in (plain, flat)]
    fall = [float(10 * torch.log10(t[20:60].mean() / t[300:600].mean())) for t in tilt]
    assert fall[1] < fall[0] - 5


def test_steps_lower_the_loss_and_a_resumed_run_goes_on_as_it_would_have(folder):
    material = Material(sorted((folder / "train").glob("*.flac")), 22050, 0.063, None)
    trainer = Trainer(CONFIG, TINY, material)
    losses = [trainer.step(0.0) for _ in range(12)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    resumed = Trainer(CONFIG, TINY, material)
    resumed.restore(trainer.state())
    assert resumed.step(0.5) == trainer.step(0.5)


def test_a_run_leaves_a_whole_prior(folder, tmp_path):
    output = tmp_path / "prior.safetensors"
    train(folder, output, minutes=0.02, config=CONFIG, network_config=TINY, origin={"title": "test"})
    prior = load_prior(output)
    assert prior.info["steps"] >= 1 and prior.info["origin"] == {"title": "test"} and prior.emphasis is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["prior.safetensors", "prior.state.pt"]


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="heldout"):
        train(tmp_path, tmp_path / "p.safetensors", 1)
