"""Training of response models: steps that teach, runs that go on to the bit, deviations of the right size, the file."""

import copy

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.priors import load_prior, save_prior
from babe2_fx.priors.levels import LevelConfig, LevelModel
from babe2_fx.priors.response import FRAMES, ResponseConfig, ResponseModel
from babe2_fx.spectra.cells import BANDS
from babe2_fx.training import response_trainer
from babe2_fx.training.cell_config import LevelTraining, ResponseTraining
from babe2_fx.training.cell_material import CellMaterial
from babe2_fx.training.cell_models import train_levels, train_response
from babe2_fx.training.config import TrainingError
from babe2_fx.training.material import find_recordings, prepare
from babe2_fx.training.response_trainer import ResponseTrainer, calibration, examine, filter_error_db
from standin import tiny_prior

SMALL = ResponseConfig(channels=8, mixes=2, weightings=2, head_channels=16, head_mixes=2)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A model and a measurement that take seconds."""
    monkeypatch.setattr(ResponseTrainer, "new_model", lambda trainer: ResponseModel(SMALL))
    monkeypatch.setattr(response_trainer, "HELD_OUT_EXAMPLES", 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_notes):
    data = tmp_path_factory.mktemp("data")
    for name, count in (("one", 2), ("other", 2), ("heldout", 2)):
        (data / name).mkdir()
        for i in range(count):
            soundfile.write(data / name / f"{i}.flac", make_notes(22050, 5.0, seed=10 * len(name) + i).T, 22050)
    return data


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    grooves = tmp_path_factory.mktemp("grooves")
    soundfile.write(grooves / "lead_in.flac", 0.05 * np.random.default_rng(0).normal(size=4 * 22050), 22050)
    return grooves


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    prior, path = tiny_prior(), tmp_path_factory.mktemp("base") / "base.safetensors"
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas, None,
               {"origin": "made for this test"}, levels=LevelModel(LevelConfig(8, 2, 16, 1)))
    return path


@pytest.fixture(scope="module")
def material(folder, tmp_path_factory):
    recordings = list(prepare(find_recordings(folder), folder, tmp_path_factory.mktemp("cache"), 22050, []))
    return CellMaterial(recordings, "folders", folder, FRAMES, fine=False)


def test_a_run_leaves_a_prior_with_the_model_and_its_companions(folder, noise, base, tmp_path):
    before, out = base.read_bytes(), tmp_path / "out.safetensors"
    run = train_response(folder, out, base, ResponseTraining(minutes=0, steps=4, batch=4, credit="Made for this test.",
                                                             noise=str(noise)))
    reports = list(run)
    assert run.value["steps"] == 4 == sum(now.stage == "training" for now in reports)
    assert "within one deviation" in reports[-1].message
    made, old = load_prior(out), load_prior(base)
    facts = made.info["response"]
    assert made.info["origin"] == "made for this test" and facts == run.value
    assert facts["training"]["credit"] == "Made for this test." and facts["training"]["noise"] == noise.name
    assert facts["recordings"] == 4 and facts["held_out_recordings"] == 2 and facts["base"]["file"] == base.name
    assert 0 < facts["within_deviation"] < 1 and facts["held_out_error_db"] > 0 and facts["held_out_flat_error_db"] > 2
    assert isinstance(made.response, ResponseModel) and made.response.config == SMALL
    assert made.response.deviation_scale.shape == (BANDS,) and made.response.deviation_scale.std() > 0
    for companion in ("network", "levels"):
        for a, b in zip(getattr(made, companion).state_dict().values(), getattr(old, companion).state_dict().values()):
            assert torch.equal(a, b)
    assert base.read_bytes() == before


def test_an_interrupted_run_gives_the_same_bits_as_one_that_was_not(folder, base, tmp_path):
    config = ResponseTraining(minutes=0, steps=6, batch=4)
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    train_response(folder, whole, base, config).finish()
    run = train_response(folder, cut, base, config)
    for now in run:
        if now.step == 3:
            break
    run.close()
    assert not cut.exists()
    going_on = [now.step for now in train_response(folder, cut, base, config.replace(save_minutes=2.0))
                if now.stage == "training"]
    assert going_on == [4, 5, 6]
    for a, b in zip(load_prior(whole).response.state_dict().values(), load_prior(cut).response.state_dict().values()):
        assert torch.equal(a, b)


def test_a_run_of_another_task_or_other_settings_does_not_go_on(folder, base, tmp_path):
    out, config = tmp_path / "out.safetensors", ResponseTraining(minutes=0, steps=1, batch=2)
    train_response(folder, out, base, config).finish()
    with pytest.raises(TrainingError, match="started with batch = 2, not 4"):
        train_response(folder, out, base, config.replace(batch=4)).finish()
    with pytest.raises(TrainingError, match="started with task = response, not levels"):
        train_levels(folder, out, base, LevelTraining(minutes=0, steps=1)).finish()


def test_what_is_drawn_depends_on_the_step_and_the_seed_alone(material):
    trainer, same = (ResponseTrainer(ResponseTraining(batch=8), material) for _ in range(2))
    later = same.draw(7)
    same.step(0.0, same.draw(0))
    assert all(torch.equal(a, b) for a, b in zip(trainer.draw(7), later))
    assert all(torch.equal(a, b) for a, b in zip(same.draw(7), later))
    other = ResponseTrainer(ResponseTraining(batch=8, seed=1), material).draw(7)
    assert not torch.equal(later.response_db[0], other.response_db[0])
    assert not torch.equal(later.response_db[0], trainer.draw(8).response_db[0])


def test_it_learns_what_is_easy(material):
    """Music whose spectrum hardly varies, so that what it has more or less of is the response."""
    rng, material = np.random.default_rng(0), copy.copy(material)
    material.levels = [np.float16(rng.normal(-20, 5, (BANDS, 300))) for _ in material.levels]
    trainer = ResponseTrainer(ResponseTraining(batch=8, warmup_steps=5, ema_rate=0.9), material)
    for step in range(60):
        trainer.step(step / 60, trainer.draw(step))
    found = examine(trainer.average, material)
    assert found.error_db < 0.75 * found.flat_db, found


def test_calibrated_deviations_hold_68_percent_in_every_band():
    torch.manual_seed(0)
    claimed_too_small_by = 1 + torch.linspace(0, 2, BANDS)
    ratio = torch.randn(2000, BANDS).abs() * claimed_too_small_by
    counted = torch.ones_like(ratio, dtype=torch.bool)
    counted[:1000, 40:] = False
    ratio[:1000, 40:] = 100.0
    factor = calibration(ratio, counted)
    assert torch.allclose(factor, claimed_too_small_by, rtol=0.1)
    assert float((ratio < factor)[counted].float().mean()) == pytest.approx(0.68, abs=0.01)


def test_measuring_brings_the_deviations_to_their_size(material):
    trainer = ResponseTrainer(ResponseTraining(), material)
    trainer.average.deviation_scale.fill_(50.0)
    facts, _ = trainer.measure(material)
    assert trainer.average.deviation_scale.max() < 10 and 0.3 < facts["within_deviation"] < 0.9
    assert float(examine(trainer.average, material).factor.log().mean()) == pytest.approx(0, abs=0.05)
    assert facts["within_deviation"] == pytest.approx(0.68, abs=0.1)


def test_a_filter_error_has_no_constant_and_does_not_look_where_nothing_is_left():
    truth = torch.zeros(BANDS)
    truth[:20] = -50
    found = torch.full((BANDS,), 3.0)
    assert filter_error_db(found, truth) == 0
    assert filter_error_db(found + torch.linspace(-6, 6, BANDS), truth) > 1


def test_mistakes_are_named(folder, base, tmp_path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(TrainingError, match="A response model has no training setting called 'channels'"):
        ResponseTraining().replace(channels=3)
    with pytest.raises(TrainingError, match="minutes and steps are both 0"):
        ResponseTraining(minutes=0)
    with pytest.raises(TrainingError, match="There is no folder nowhere"):
        train_response(folder, out, base, ResponseTraining(noise="nowhere")).finish()
    copy = tmp_path / "base.safetensors"
    copy.write_bytes(base.read_bytes())
    with pytest.raises(TrainingError, match="is the prior to start from"):
        train_response(folder, copy, copy).finish()
    prior = tiny_prior()
    save_prior(copy, prior.network.state_dict(), type(prior.network.config)(
        **vars(prior.network.config) | {"sample_rate": 44100}), 0.063, 0.063, None, None, {})
    with pytest.raises(TrainingError, match="at 44100 Hz; response models are for 22050 Hz"):
        train_response(folder, out, copy).finish()
    short = tmp_path / "short"
    short.mkdir()
    for i in range(2):
        soundfile.write(short / f"{i}.wav", np.random.default_rng(i).normal(size=30000) * 0.1, 22050)
    with pytest.raises(TrainingError, match="holds no recording of at least 3 s"):
        train_response(short, out, base).finish()
