"""The response model: what its estimates do not depend on, where it says nothing, what a prior file does with it."""

import json
import math
import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from babe2_fx.priors import BatchingPrior, Prior, PriorError, load_prior, response, save_prior
from babe2_fx.priors.levels import LevelConfig, LevelModel
from babe2_fx.priors.response import ResponseConfig, ResponseModel
from standin import tiny_prior

SMALL = ResponseConfig(channels=8, mixes=2, weightings=2, head_channels=8, head_mixes=2)
SMALL_LEVELS = LevelConfig(channels=8, mixes=2, width=16, passed=1)
SECOND = 22050


@pytest.fixture
def model():
    """Random weights, larger than at first, so that something comes out of them."""
    torch.manual_seed(0)
    model = ResponseModel(SMALL).eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.4)
    torch.nn.init.normal_(model.leave.weight, std=0.1)
    return model


@pytest.fixture
def saved(model, tmp_path):
    """A prior file with the response model and a level model, and its path."""
    path = tmp_path / "with.safetensors"
    save(path, response=model, levels=LevelModel(SMALL_LEVELS))
    return path


def save(path, **companions):
    prior = tiny_prior()
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas, None,
               {}, **companions)


@pytest.fixture
def music(make_notes):
    """Other notes in each of two channels, and a little noise: (2, samples)."""
    def make(seconds):
        noise = torch.randn(2, round(seconds * SECOND), generator=torch.Generator().manual_seed(2))
        pieces = [[make_notes(SECOND, 2.0, seed=2 * i + channel)[0] for i in range(math.ceil(seconds / 2))]
                  for channel in range(2)]
        return torch.tensor(np.stack([np.concatenate(p) for p in pieces])[:, :noise.shape[1]]) + 1e-4 * noise
    return make


def far(one, other):
    """The largest difference of two estimates, in dB."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other))


@pytest.mark.parametrize("seconds", [1, 2.9, 3.2, 8, 20])
def test_estimates_of_all_lengths_are_finite_and_their_weighted_mean_is_zero(model, music, seconds):
    audio = music(seconds)
    for audio_or_channel in (audio, audio[0]):
        for shrink in (False, True):
            found = model.estimate(audio_or_channel, shrink=shrink)
            assert found.response_db.shape == found.deviation_db.shape == (83,)
            assert all(x.dtype == torch.float32 and torch.isfinite(x).all() for x in found)
            assert float(found.deviation_db.min()) > 0 and float(found.response_db.abs().max()) > 0.1
            weight = found.deviation_db ** -2
            assert abs(float((weight * found.response_db).sum() / weight.sum())) < 1e-3


@pytest.mark.parametrize("audio", [torch.zeros(2, 10 * SECOND), torch.zeros(10 * SECOND), torch.zeros(0),
                                   torch.zeros(2, 0), torch.randn(1), torch.randn(2, 5000), torch.randn(SECOND // 2)])
def test_of_silence_and_of_less_than_a_second_it_says_nothing(model, audio):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.estimate(audio)
    assert torch.equal(found.response_db, torch.zeros(83)) and float(found.deviation_db.min()) > 15


@pytest.mark.parametrize("shape", [(), (0, 9000), (1, 2, 9000)])
def test_audio_of_another_shape_is_refused(model, shape):
    with pytest.raises(ValueError, match=r"audio must be \(samples,\) or \(channels, samples\), not"):
        model.estimate(torch.zeros(shape))


def test_channels_count_by_their_power(model, music):
    both = music(7)
    assert far(model.estimate(both), model.estimate(both.flip(0))) < 0.01
    assert far(model.estimate(both[:1]), model.estimate(both[0])) == 0
    same, alone = both[0].expand(3, -1), torch.stack([both[0], torch.zeros_like(both[0])])
    assert far(model.estimate(same), model.estimate(both[0])) < 0.01
    assert far(model.estimate(alone), model.estimate(both[0])) < 0.01
    # Against each other they are silent where they are summed, and as loud as ever in power.
    assert far(model.estimate(torch.stack([both[0], -both[0]])), model.estimate(both[0])) < 0.01


@pytest.mark.parametrize("gain", [1e-6, 0.1, 10, 1e4])
def test_loudness_does_not_matter(model, music, gain):
    audio = music(7)
    assert far(model.estimate(gain * audio), model.estimate(audio)) < 0.01


def test_silent_segments_are_not_read(music):
    segment = 64 * 1024
    audio, pause = music(18)[:, :6 * segment], torch.zeros(2, 4 * segment)
    heard = response._heard(response._levels_db(torch.cat([audio, pause, audio[:, :2 * segment]], 1)))
    # The tenth lies in the pause but for its last frames, which reach into the music.
    assert heard == [64 * i for i in (0, 1, 2, 3, 4, 5, 9, 10)] + [12 * 64 - 3 - 64]


def test_the_same_audio_gives_the_same_estimate_and_is_left_as_it_was(model, music):
    audio = music(5)
    before, state = audio.clone(), torch.get_rng_state()
    assert far(model.estimate(audio), model.estimate(audio)) == 0
    assert torch.equal(audio, before) and torch.equal(torch.get_rng_state(), state)


def test_long_audio_in_pieces_gives_what_it_gives_at_once(model, music, monkeypatch):
    audio = music(40)
    found = {}
    for pieces, batch in ((10 ** 6, 10 ** 6), (100, 2), (17, 6)):
        monkeypatch.setattr(response, "PIECE", pieces)
        monkeypatch.setattr(response, "BATCH", batch)
        found[batch] = model.estimate(audio)
    assert far(found[2], found[10 ** 6]) < 0.01 and far(found[6], found[10 ** 6]) < 0.01


def test_shrinkage_takes_what_does_not_stand_out(model):
    weak, strong = torch.full((83,), 0.1), torch.full((83,), 20.0)
    assert float(response._shrunk(weak, torch.full((83,), 9.0)).max()) < 0.01 * 0.1 * 2
    assert float(response._shrunk(strong, torch.full((83,), 9.0)).min()) > 0.99 * 20


def test_recordings_read_side_by_side_are_what_each_is_alone(model):
    level_db = torch.randn(2, 4, 83, 64, generator=torch.Generator().manual_seed(3)) * 10 - 20
    both, second = model(level_db), model(level_db[1:])
    assert both.mean.shape == both.log_variance.shape == (2, 83)
    assert torch.allclose(both.mean[1], second.mean[0], atol=1e-3)
    assert float(both.log_variance.min()) >= -2 and float(both.log_variance.max()) <= 6


@pytest.mark.parametrize("sizes", [{"channels": 0}, {"head_channels": 10 ** 9}, {"mixes": 2.5}, {"weightings": True}])
def test_sizes_out_of_range_are_refused(sizes):
    name = next(iter(sizes))
    with pytest.raises(ValueError, match=f"{name} of a response model must be a whole number from 1 to 1024"):
        ResponseConfig(**sizes)


def test_channels_that_weightings_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="must be a multiple of its weightings, 5, not 32"):
        ResponseConfig(weightings=5)


def test_a_prior_file_keeps_it(model, saved, tmp_path, music):
    levels = load_prior(saved).levels
    save(tmp_path / "without.safetensors", levels=levels)
    prior, without = load_prior(saved), load_prior(tmp_path / "without.safetensors")
    assert prior.response.config == SMALL and not prior.response.training and without.response is None
    assert not any(p.requires_grad for p in prior.response.parameters())
    for (name, value), kept in zip(model.state_dict().items(), prior.response.state_dict().values()):
        assert torch.equal(value.half().float(), kept), name
    assert prior.levels.config == without.levels.config == SMALL_LEVELS
    with_it = Prior(without.network, without.sigma_data, response=prior.response)
    assert with_it.fingerprint != Prior(without.network, without.sigma_data).fingerprint  # what it makes depends on it
    assert torch.isfinite(prior.response.estimate(music(4)).response_db).all()


def test_a_prior_that_batches_calls_has_it(model):
    plain = tiny_prior()
    prior = Prior(plain.network, plain.sigma_data, response=model)
    with BatchingPrior(prior) as batching:
        assert batching.response is model and batching.fingerprint == prior.fingerprint


def test_a_response_model_that_does_not_fit_its_sizes_is_refused(saved, tmp_path):
    with safe_open(str(saved), framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    path = tmp_path / "bad.safetensors"
    for sizes in ({"channels": 16}, {"channels": 10 ** 12}, {"channels": 1024, "head_channels": 1024, "mixes": 1024},
                  {"weightings": 3}, {"depth": 3}, [8], "8", None):
        save_file(tensors, path, metadata | {"response": json.dumps(sizes)})
        with pytest.raises(PriorError, match="cannot be used as a prior"):
            load_prior(path)
    for text in ("", "{", "[" * 10 ** 5):
        save_file(tensors, path, metadata | {"response": text})
        with pytest.raises(PriorError, match="cannot be used as a prior"):
            load_prior(path)
    lacking = {name: value for name, value in tensors.items() if name != "response.place"}
    save_file(lacking, path, metadata)
    with pytest.raises(PriorError, match="cannot be used as a prior"):
        load_prior(path)


def test_measured_deviations_travel_in_a_file_and_older_files_have_the_default(model, tmp_path, music):
    path, audio = tmp_path / "with.safetensors", music(4)
    before = model.estimate(audio, shrink=False)
    model.deviation_scale.copy_(torch.linspace(0.5, 2, 83))
    save(path, response=model)
    found = model.estimate(audio, shrink=False)
    assert torch.equal(found.response_db, before.response_db)
    assert torch.allclose(found.deviation_db, before.deviation_db * torch.linspace(0.5, 2, 83) / 0.75)
    assert torch.allclose(load_prior(path).response.deviation_scale, torch.linspace(0.5, 2, 83), rtol=1e-3)
    with safe_open(str(path), framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    scale = tensors.pop("response.deviation_scale")
    save_file(tensors, path, metadata)
    assert torch.equal(load_prior(path).response.deviation_scale, torch.full((83,), 0.75))
    for wrong in ({"response.deviation_scale": scale[:82].contiguous()}, {"response.deviation": scale}):
        save_file(tensors | wrong, path, metadata)
        with pytest.raises(PriorError, match="cannot be used as a prior"):
            load_prior(path)
