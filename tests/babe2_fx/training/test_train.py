"""Training: the loss, steps that teach, runs that are killed and go on, and what a run leaves."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.priors import BandMixer, CQTDiff, Preconditioning, load_prior, save_prior
from babe2_fx.training.config import TrainingConfig, TrainingError
from babe2_fx.training.material import Material, find_recordings, prepare, split
from babe2_fx.training.state import load_state, save_state
from babe2_fx.training.train import as_base, train
from babe2_fx.training.trainer import Trainer, denoising_loss
from standin import TINY

SHARED = {"octaves": 3, "bins_per_octave": 16, "embedding": 16, "block_length": 16384, "crop": 16384}
SIZES = SHARED | {"architecture": "unet", "channels": (8, 8, 8), "layers": (1, 1, 1)}
CONFIG = TrainingConfig(**SIZES, warmup_steps=1, learning_rate=3e-3, minutes=0, steps=4)
MIXER = TrainingConfig(**SHARED, width=16, depth=3, mix_channels=4, warmup_steps=1, learning_rate=3e-3, minutes=0,
                       steps=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_notes):
    data = tmp_path_factory.mktemp("data")
    for i in range(4):
        soundfile.write(data / f"{i}.flac", make_notes(22050, 2.0, seed=i).T, 22050)
    return data


@pytest.fixture(scope="module")
def material(folder, tmp_path_factory):
    recordings = list(prepare(find_recordings(folder), folder, tmp_path_factory.mktemp("cache"), 22050, []))
    return Material(split(recordings, 0.05, folder)[0], None, 0.063)


@pytest.fixture(autouse=True)
def rough_examples(monkeypatch):
    monkeypatch.setattr("babe2_fx.training.train.EXAMPLE_STEPS", 2)
    monkeypatch.setattr("babe2_fx.training.trainer.HELD_OUT_CROPS", 2)


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


# ---------------------------------------------------------------------------------------------------- the loss

def test_the_loss_is_that_of_eq_3_weighted_by_one_over_c_out_squared():
    torch.manual_seed(0)
    network, p = CQTDiff(TINY).requires_grad_(False), Preconditioning(0.063)
    clean, noise = 0.063 * torch.randn(2, TINY.block_length), torch.randn(2, TINY.block_length)
    sigma = torch.tensor([[0.3], [0.01]])
    noisy = clean + sigma * noise
    denoised = p.c_skip(sigma) * noisy + p.c_out(sigma) * network(p.c_in(sigma) * noisy, p.c_noise(sigma))
    error = network.transform(TINY.block_length).band_limit(denoised - clean)
    expected = (p.loss_weight(sigma) * error.square()).mean(-1)
    assert torch.allclose(denoising_loss(network, clean, sigma, noise, p), expected, rtol=1e-4)


def test_noise_levels_are_drawn_evenly_from_the_warped_scale(material):
    config = CONFIG.replace(batch=512, crop=4096, sigma_max=100, sigma_min=1e-3, sigma_rho=10)
    trainer = Trainer(CONFIG, CONFIG.network(0.063), material)
    trainer.config = config
    clean, sigma, noise = trainer.draw(0)
    position = ((sigma / 0.063) ** 0.1 - 100 ** 0.1) / (0.001 ** 0.1 - 100 ** 0.1)
    assert torch.allclose(position[:, 0], (torch.arange(512) + 0.5) / 512, atol=1 / 512)
    assert clean.shape == noise.shape == (512, 4096) and float(noise.std()) == pytest.approx(1, abs=0.01)


# ------------------------------------------------------------------------------------------------------- steps

@pytest.mark.parametrize("optimizer", ["muon", "adam"])
@pytest.mark.parametrize("config", [CONFIG, MIXER], ids=["unet", "mixer"])
def test_steps_lower_the_loss(material, config, optimizer):
    trainer = Trainer(config.replace(optimizer=optimizer), config.network(0.063), material)
    fixed = [trainer.draw(step) for step in range(100, 108)]

    @torch.no_grad()
    def loss():
        return np.mean([float(denoising_loss(trainer.network, *drawn, trainer.preconditioning).mean())
                        for drawn in fixed])

    before = loss()
    for _ in range(24):
        trainer.step(0.0)
    assert loss() < 0.95 * before


@pytest.mark.parametrize("config", [CONFIG, MIXER], ids=["unet", "mixer"])
def test_a_resumed_run_goes_on_to_the_bit_as_it_would_have(material, tmp_path, config):
    trainer, resumed = (Trainer(config, config.network(0.063), material) for _ in range(2))
    for _ in range(3):
        trainer.step(0.1)
    save_state(tmp_path, trainer.state())
    resumed.restore(load_state(tmp_path))
    assert [resumed.step(0.5) for _ in range(2)] == [trainer.step(0.5) for _ in range(2)]
    assert torch.equal(weights(resumed), weights(trainer))


@pytest.mark.parametrize("config", [CONFIG, MIXER], ids=["unet", "mixer"])
def test_every_weight_is_trained_by_one_optimiser(material, config):
    trainer = Trainer(config, config.network(0.063), material)
    adam = [p for group in trainer.optimisers["adam"][0].param_groups for p in group["params"]]
    ours = {p.data_ptr() for p in trainer.trained}
    assert len(trainer.matrices) > 0 and len(adam) + len(trainer.matrices) == len(ours)
    assert {p.data_ptr() for p in adam} | {p.data_ptr() for p in trainer.matrices} == ours
    assert all(matrix.dim() == 2 for matrix in trainer.matrices)
    before = [p.detach().clone() for p in trainer.trained]
    for _ in range(2):
        trainer.step(0.0)
    assert not any(torch.equal(now, then) for now, then in zip(trainer.trained, before))


def test_the_average_follows_quickly_at_first_and_then_at_its_rate(material):
    trainer = Trainer(CONFIG.replace(ema_rate=0.5), CONFIG.network(0.063), material)
    name = "embedding.MLP.0.weight"
    for step in range(12):
        before = trainer.average.state_dict()[name].clone()
        trainer.step(0.0)
        keep = min(0.5, (1 + step) / (10 + step))
        now = trainer.network.state_dict()[name]
        assert torch.allclose(trainer.average.state_dict()[name], keep * before + (1 - keep) * now, atol=1e-6)


def test_a_new_network_is_smooth_in_the_noise_level_and_a_base_keeps_its_own_features(material):
    torch.manual_seed(1)
    base = CQTDiff(CONFIG.network(0.063))
    fine, new = (Trainer(CONFIG, CONFIG.network(0.063), material, weights).network.embedding
                 for weights in (base.state_dict(), None))
    assert torch.equal(fine.RFF_freq, base.embedding.RFF_freq)
    levels = torch.linspace(-2.5, 0, 200)[:, None]  # ln(sigma) / 4 from 4e-5 to 1
    with torch.no_grad():
        published, ours = (float(x.diff(dim=0).norm() / x.std(dim=0).norm()) for x in (fine(levels), new(levels)))
    assert ours < 0.3 * published


def test_a_gradient_that_is_not_finite_changes_nothing_and_ends_a_run_that_diverged(material, monkeypatch):
    monkeypatch.setattr("babe2_fx.training.trainer.MOST_SKIPPED", 3)
    trainer = Trainer(CONFIG, CONFIG.network(0.063), material)
    clean, sigma, noise = trainer.draw(0)
    before = weights(trainer)
    for _ in range(2):
        trainer.step(0.0, (clean * float("nan"), sigma, noise))
    assert torch.equal(weights(trainer), before)
    with pytest.raises(TrainingError, match="diverged: for 3 steps, up to step 3.* Lower learning_rate"):
        trainer.step(0.0, (clean * float("nan"), sigma, noise))


# -------------------------------------------------------------------------------------------------- whole runs

def test_a_run_leaves_a_prior_with_its_preset_card_logs_and_example(folder, tmp_path):
    output = tmp_path / "my-organ.safetensors"
    config = CONFIG.replace(title="My organ", credit="Played by me, CC0.", description="An organ.")
    seen = list(train(folder, output, config))
    assert {now.stage for now in seen} == {"reading", "training", "measuring", "drawing"} and seen[-1].step == 4
    prior = load_prior(output)
    assert prior.info["steps"] == 4 and prior.info["origin"]["credit"] == "Played by me, CC0."
    assert prior.emphasis is not None and len(prior.ltas) == len(prior.ltas_spread_db) == 1025
    assert list(prior.info["heldout_loss"]) == ["0.5", "0.1", "0.02", "0.004", "0.0008"]
    preset = load_preset(str(output))
    assert preset.title == "My organ" and preset.prior_path == output
    assert "Played by me, CC0." in preset.card and "3 recordings; 1 held out" in preset.card
    run = output.with_suffix(".run")
    audio, rate = soundfile.read(run / "examples" / "step-0000004.flac")
    assert rate == 22050 and len(audio) == 16384 and 0.01 < audio.std() < 0.1
    assert list((run / "logs").glob("events.*"))


def test_a_mixer_is_trained_killed_resumed_fine_tuned_and_sampled(folder, tmp_path):
    output, tuned = tmp_path / "mixer.safetensors", tmp_path / "tuned.safetensors"
    run = train(folder, output, MIXER.replace(title="My organ"))
    while next(run).step < 2:
        pass
    run.close()
    messages = [now.message for now in train(folder, output, MIXER.replace(title="My organ"))]
    assert any("goes on from step 2" in message for message in messages)
    prior = load_prior(output)
    assert isinstance(prior.network, BandMixer) and prior.info["steps"] == 4
    assert prior.network.config.sigma_data == prior.sigma_data == 0.063
    assert "band mixer, 3 octaves" in load_preset(str(output)).card
    # Whatever the settings' own kind and sizes: those of the base are taken over.
    config = TrainingConfig(architecture="unet", normalization="collection", learning_rate=1e-9, muon_rate=1e-9,
                            steps=1, minutes=0)
    train(folder, tuned, config, output).finish()
    after = load_prior(tuned)
    assert after.network.config == prior.network.config and after.info["training"]["architecture"] == "mixer"
    assert as_base(config, prior).network(0.063) == prior.network.config
    for now, then in zip(after.network.parameters(), prior.network.parameters()):
        assert torch.allclose(now, then, atol=2e-3)


def test_a_state_from_before_there_were_kinds_of_network_is_one_of_the_unet(folder, tmp_path):
    output = tmp_path / "prior.safetensors"
    train(folder, output, CONFIG.replace(steps=1)).finish()
    state = load_state(tmp_path / "prior.run")
    for name in ("architecture", "width", "depth", "mix_channels", "reach", "token_bands"):
        del state["config"][name]
    save_state(tmp_path / "prior.run", state)
    train(folder, output, CONFIG.replace(steps=2)).finish()
    assert load_prior(output).info["steps"] == 2
    with pytest.raises(TrainingError, match="started with architecture = unet, not mixer"):
        train(folder, output, MIXER).finish()


def test_a_run_with_the_level_of_the_data_as_it_is(folder, tmp_path):
    config = CONFIG.replace(sigma_data=0, normalization="none", flattening=0, companding="off", steps=1)
    output = tmp_path / "plain.safetensors"
    train(folder, output, config).finish()
    signals = np.concatenate([soundfile.read(folder / f"{i}.flac")[0] for i in range(4)])
    prior = load_prior(output)
    assert prior.sigma_data == pytest.approx(signals.std(), rel=0.2) and prior.emphasis is None
    assert prior.network.config.companding == 0


def test_a_run_that_is_closed_and_one_that_goes_on_come_to_the_prior_of_one_that_does_neither(folder, tmp_path):
    def weights_of(path):
        return torch.cat([p.flatten() for p in load_prior(path).network.parameters()])

    config = CONFIG.replace(decay="none")
    through, stopped = tmp_path / "through.safetensors", tmp_path / "stopped.safetensors"
    train(folder, through, config, cache=tmp_path / "cache").finish()
    run = train(folder, stopped, config, cache=tmp_path / "cache")
    while next(run).step < 2:
        pass
    run.close()
    assert load_prior(stopped).info["steps"] == 2
    messages = [now.message for now in train(folder, stopped, config, cache=tmp_path / "cache")]
    assert any("goes on from step 2" in message for message in messages)
    assert torch.equal(weights_of(through), weights_of(stopped))


PROGRAM = """
import sys
from pathlib import Path
from babe2_fx.training.config import TrainingConfig
from babe2_fx.training.train import train
train(Path(sys.argv[1]), Path(sys.argv[2]), TrainingConfig(**eval(sys.argv[3]))).finish()
"""


def test_a_run_killed_at_any_moment_goes_on_from_its_last_state(folder, tmp_path):
    output = tmp_path / "prior.safetensors"
    state = output.with_suffix(".run") / "state.pt"
    config = CONFIG.replace(steps=10000, save_minutes=0.01)
    settings = repr({**SIZES, "steps": 10000, "minutes": 0, "warmup_steps": 1, "learning_rate": 3e-3,
                     "save_minutes": 0.01})
    for _ in range(2):  # the second goes on from the first
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(output), settings],
                                   env=os.environ | {"OMP_NUM_THREADS": "1"})
        was = state.stat().st_mtime_ns if state.exists() else 0
        deadline = time.monotonic() + 120
        while (not state.exists() or state.stat().st_mtime_ns == was) and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    step = load_state(output.with_suffix(".run"))["step"]
    run = train(folder, output, config)
    message = next(now.message for now in run if "parameters" in now.message)
    run.close()
    assert step > 1 and f"goes on from step {step}." in message


def test_a_damaged_state_is_passed_over_for_the_one_before(tmp_path):
    for step in (1, 2):
        save_state(tmp_path, {"step": step})
    assert load_state(tmp_path)["step"] == 2
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:200])
    assert load_state(tmp_path)["step"] == 1
    (tmp_path / "state.previous.pt").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"state is damaged: .*state\.pt .*; .*previous\.pt.* --restart"):
        load_state(tmp_path)


def test_another_run_of_the_same_name_is_refused_and_a_finished_prior_is_not_overwritten(folder, tmp_path):
    output = tmp_path / "prior.safetensors"
    train(folder, output, CONFIG.replace(steps=1)).finish()
    with pytest.raises(TrainingError, match=r"prior\.run holds a run that was started with batch = 2, not 3\."):
        train(folder, output, CONFIG.replace(batch=3)).finish()
    train(folder, output, CONFIG.replace(steps=2)).finish()  # longer is not another run
    assert load_prior(output).info["steps"] == 2
    for name in ("state.pt", "state.previous.pt"):
        (tmp_path / "prior.run" / name).unlink()
    with pytest.raises(TrainingError, match=r"prior\.safetensors already exists"):
        train(folder, output, CONFIG).finish()
    with pytest.raises(TrainingError, match="is the prior to start from, which stays as it is"):
        train(folder, output, CONFIG, base=output, restart=True).finish()
    train(folder, output, CONFIG.replace(steps=1, batch=3), restart=True).finish()
    assert load_prior(output).info["training"]["batch"] == 3


def test_two_processes_cannot_train_one_prior(folder, tmp_path):
    output = tmp_path / "prior.safetensors"
    run = train(folder, output, CONFIG)
    next(run)
    with pytest.raises(TrainingError, match="Another process is training"):
        train(folder, output, CONFIG).finish()
    run.close()


def test_what_cannot_be_trained_on_is_named(folder, tmp_path):
    output = tmp_path / "p.safetensors"
    for change, sentence in (({"crop": 262144}, r"holds too little: [0-9.]+ s to train on, where one crop is 11\.9 s"),
                             ({"bins_per_octave": 512, "block_length": 4096, "crop": 4096}, "do not go together")):
        with pytest.raises(TrainingError, match=sentence):
            train(folder, output, CONFIG.replace(**change)).finish()
    with pytest.raises(TrainingError, match=r"must be a file NAME\.safetensors, not .*p\.pt"):
        train(folder, tmp_path / "p.pt", CONFIG).finish()
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="empty holds no audio files"):
        train(tmp_path / "empty", output, CONFIG).finish()
    assert not output.exists()


# ------------------------------------------------------------------------------------------------ fine-tuning

def test_fine_tuning_starts_from_the_base_and_keeps_its_sizes_level_and_domain(folder, tmp_path):
    torch.manual_seed(3)
    network = CQTDiff(TINY)
    emphasis_db = torch.linspace(0, 12, 2049)
    base = tmp_path / "base.safetensors"
    save_prior(base, network.state_dict(), TINY, 0.2, 0.25, None, emphasis_db, {}, dtype=torch.float32)
    output = tmp_path / "fine.safetensors"
    config = TrainingConfig(normalization="collection", learning_rate=1e-9, muon_rate=1e-9, steps=1, minutes=0)
    train(folder, output, config, base).finish()
    prior = load_prior(output)
    assert prior.network.config == TINY and (prior.sigma_data, prior.level) == (0.2, 0.25)
    assert torch.allclose(prior.emphasis.gain_db.float(), emphasis_db) and prior.info["base"]["file"] == base.name
    for now, then in zip(prior.network.parameters(), network.parameters()):
        assert torch.allclose(now, then, atol=2e-3)  # half precision
    torch.manual_seed(4)
    save_prior(base, CQTDiff(TINY).state_dict(), TINY, 0.2, 0.25, None, emphasis_db, {})
    with pytest.raises(TrainingError, match="started with base = "):
        train(folder, output, config, base).finish()


def test_an_official_checkpoint_can_be_fine_tuned(folder, reference, tmp_path):
    output = tmp_path / "fine.safetensors"
    official = reference / "cqtdiff_22k_small.pt"
    prior = load_prior(official)
    config = TrainingConfig(batch=1, crop=16384, optimizer="adam", learning_rate=1e-4, steps=2, minutes=0)
    assert as_base(config, prior).network(0.063) == prior.network.config
    train(folder, output, config, official).finish()
    tuned = load_prior(output)
    assert tuned.network.config == prior.network.config and tuned.emphasis is None
    assert tuned.sigma_data == prior.sigma_data and tuned.info["steps"] == 2
    moved = [float((a - b).abs().max()) for a, b in zip(tuned.network.parameters(), prior.network.parameters())]
    assert 0 < max(moved) < 0.01


# ------------------------------------------------------------------------------------------- several processes

TOGETHER = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from babe2_fx.training import train as module
from babe2_fx.training.config import TrainingConfig
made = []
class Watched(module.Trainer):
    def __init__(self, *args):
        super().__init__(*args)
        made.append(self)
module.Trainer = Watched
for now in module.train(Path(sys.argv[1]), Path(sys.argv[2]), TrainingConfig(**eval(sys.argv[3]))):
    pass
trainer = made[0]
flat = torch.cat([p.detach().flatten() for p in trainer.network.parameters()]).double()
crop = trainer.draw(0)[0]
print("RESULT", trainer.processes.rank, trainer.step_count, float(flat.sum()), float(crop.sum()))
"""


def test_two_processes_train_one_network_on_different_crops(folder, tmp_path):
    import socket
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = repr({**SIZES, "steps": 3, "minutes": 0})
    processes = [subprocess.Popen(
        [sys.executable, "-c", TOGETHER, str(folder), str(tmp_path / "prior.safetensors"), settings],
        stdout=subprocess.PIPE, text=True, env=os.environ | {
            "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1"}) for rank in range(2)]
    said = [process.communicate(timeout=200)[0] for process in processes]
    (_, _, steps0, sum0, crop0), (_, _, steps1, sum1, crop1) = (
        next(line for line in text.splitlines() if line.startswith("RESULT")).split() for text in said)
    assert steps0 == steps1 == "3" and sum0 == sum1 and crop0 != crop1
    assert load_prior(tmp_path / "prior.safetensors").info["processes"] == 2
