"""Which channels are restored, what becomes of the others, and what is said of it."""

import numpy as np
import pytest
import torch
from scipy import signal

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.priors import load_prior
from babe2_fx.restoration import Restorer
from babe2_fx.restoration.channels import advanced, channels_to_restore
from babe2_fx.settings import Settings
from babe2_fx.spectra import ltas, smooth_octave
from channel_pairs import late, music, noise
from standin import tiny_prior

RATE = 22050
QUICK = Settings.of(steps=2, order=1, guidance="direct", filter_fit="global", s_churn=0.0)


def rows(*channels: np.ndarray) -> np.ndarray:
    return np.stack(channels).astype(np.float32)


def chosen(audio: np.ndarray, channels: str = "auto"):
    found = channels_to_restore(torch.from_numpy(audio), RATE, channels)
    return found, " ".join(found.notes)


def restored(audio: np.ndarray, **settings):
    return Restorer(tiny_prior(), QUICK.replace(**settings)).restore(audio, RATE)


@pytest.fixture(scope="module")
def one() -> np.ndarray:
    return music(seed=0, duration_s=3)


@pytest.fixture(scope="module")
def other() -> np.ndarray:
    return music(seed=1, duration_s=3)


def test_two_of_the_same_are_restored_as_their_plain_mean(one):
    audio = rows(one, one)
    found, said = chosen(audio)
    assert torch.equal(found.signal, torch.from_numpy(audio).mean(0, keepdim=True))
    assert said == "The 2 channels hold the same signal; their mean was restored."
    result = restored(audio)
    assert np.array_equal(result.audio[0], result.audio[1])


def test_a_sum_of_two_walls_has_less_noise(one):
    found, said = chosen(rows(one + noise(one, -20, 1), one + noise(one, -20, 2)))
    left = found.signal[0].numpy() - one
    assert 20 * np.log10(left.std() / one.std()) == pytest.approx(-23, abs=0.3)
    assert "one groove" in said and "channels = linked" in said


def test_of_two_walls_the_worn_one_counts_less(one):
    found, said = chosen(rows(one + noise(one, -40, 1), one + noise(one, -10, 2)))
    assert 20 * np.log10((found.signal[0].numpy() - one).std() / one.std()) < -35
    assert "weighted by their noise" in said


@pytest.mark.parametrize("samples, sign, words", [
    (6, 1, "The right channel is 6.0 samples (0.27 ms) late, which was undone."),
    (-2.5, 1, "The right channel is 2.5 samples (0.11 ms) early, which was undone."),
    (0, -1, "The right channel is of inverted polarity, which was undone."),
    (4.5, -1, "The right channel is 4.5 samples (0.20 ms) late and of inverted polarity, which was undone.")])
def test_delay_and_polarity_are_taken_out_before_summing(one, samples, sign, words):
    found, said = chosen(rows(one, sign * late(one, samples)))
    assert words in said
    rest = found.signal[0].numpy() - one
    assert 20 * np.log10(rest[500:-500].std() / one.std()) < -50


def test_channels_keep_their_balance(one):
    found, said = chosen(rows(one + noise(one, -30, 1), 0.5 * (one + noise(one, -30, 2))))
    assert "The right channel is 6.0 dB quieter, which was kept." in said
    back = found.put_back(found.signal, torch.zeros(2, len(one))).numpy()
    assert 20 * np.log10(back[1].std() / back[0].std()) == pytest.approx(-6, abs=0.1)
    assert 20 * np.log10(back[0].std() / one.std()) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("samples", [0.5, 6.0, -3.3, 90.25, -90.7])
def test_moving_by_parts_of_a_sample_is_exact(one, samples):
    faded = signal.sosfiltfilt(signal.butter(8, 9000, fs=RATE, output="sos"), one) * np.hanning(len(one))
    error = advanced(torch.from_numpy(rows(late(faded, samples))), samples)[0].numpy() - faded
    assert 20 * np.log10(error.std() / faded.std()) < -90


def test_moving_does_not_depend_on_where_chunks_end(one, monkeypatch):
    import babe2_fx.restoration.channels as module
    whole = advanced(torch.from_numpy(rows(one)), 5.4)
    chunks = module.chunks
    monkeypatch.setattr(module, "chunks", lambda samples, *arrays: chunks(samples, *arrays, length=1000))
    assert torch.allclose(advanced(torch.from_numpy(rows(one)), 5.4), whole, atol=1e-7)


@pytest.mark.parametrize("level_db, settings", [
    (None, {}), (-80, {}), (-80, {"channels": "linked"}), (-80, {"channels": "independent", "high_band": "keep"})],
    ids=str)
def test_a_dead_channel_stays_as_it_was_and_changes_nothing(one, level_db, settings):
    dead = 0 * one if level_db is None else noise(one, level_db, 7)
    audio = rows(one, dead)
    result, alone = restored(audio, **settings), restored(audio[:1], **settings)
    assert np.array_equal(result.audio[1], audio[1])
    assert np.array_equal(result.audio[0], alone.audio[0])
    assert np.array_equal(result.response_db, alone.response_db)
    assert "The right channel holds no music to restore and stays as it was." in result.notes


def test_a_dead_channel_of_a_passage_is_that_of_the_passage(one):
    audio = rows(noise(one, -80, 7), one)
    passage = Restorer(tiny_prior(), QUICK).run(audio, RATE, (10000, 50000)).finish().audio
    assert np.array_equal(passage[0], audio[0, 10000:50000]) and passage.shape == (2, 40000)


def test_mono_fills_a_dead_channel(one):
    result = restored(rows(0 * one, one), channels="mono")
    assert np.array_equal(result.audio[0], result.audio[1]) and result.audio.any()
    assert "The left channel holds no music to restore and gets what was restored from the rest." in result.notes


def test_of_six_channels_only_the_one_with_music_is_restored(one):
    audio = np.zeros((6, len(one)), np.float32)
    audio[2] = one
    result = restored(audio)
    assert not np.delete(result.audio, 2, axis=0).any()
    assert np.array_equal(result.audio[2], restored(audio[2:3]).audio[0])
    assert "Channels 1, 2, 4, 5 and 6 hold no music to restore and stay as they were." in result.notes


def test_dead_channels_between_live_ones_stay(one, other):
    found, said = chosen(rows(one, 0 * one, other, 0 * one))
    assert torch.equal(found.signal, torch.from_numpy(rows(one, other)))
    assert found.put_back(-found.signal, torch.from_numpy(rows(one, 0 * one, other, 0 * one)))[3].abs().max() == 0
    assert said.endswith("The 2 channels with music were restored separately, with one common filter.")


@pytest.mark.parametrize("level_db, offset", [(-2, 0.25), (-11, 0.0), (-15, 0.25)])
def test_stereo_stays_as_wide_as_it_was(one, other, level_db, offset):
    side = other * (one.std() / other.std() * 10 ** (level_db / 20))
    audio = rows(one + side + offset, one - side + offset)
    after = restored(audio).audio

    def width_db(x):
        x = x - x.mean(1, keepdims=True)
        return 20 * np.log10((x[0] - x[1]).std() / (x[0] + x[1]).std())
    assert width_db(after) == pytest.approx(width_db(audio), abs=2)


def test_where_it_was_close_the_way_to_a_sum_is_shown(one, other):
    side = other * (one.std() / other.std() * 10 ** (-18 / 20))
    found, said = chosen(rows(one + side, one - side))
    assert len(found.signal) == 2 and "too much for one groove; the setting channels = mono sums them." in said


def test_a_sum_that_was_asked_for_says_what_was_summed(one, other):
    audio = rows(one, other)
    found, said = chosen(audio, "mono")
    assert torch.equal(found.signal, torch.from_numpy(audio).mean(0, keepdim=True))
    assert said == "The 2 channels hold different music, but were summed. Their mean was restored."


def third_octaves_db(x: np.ndarray) -> np.ndarray:
    power = smooth_octave(ltas(torch.from_numpy(x), 2048, mirrored=False)).numpy()
    bins = np.unique(np.round(np.geomspace(10, 900, 20)).astype(int))
    return 10 * np.log10(power[bins] + 1e-20)


def test_a_late_wall_leaves_no_comb():
    """The restoration of both is that of one of them."""
    preset = load_preset("piano")
    restorer = Restorer(load_prior(preset.prior_path), preset.settings("draft", seed=1))
    x = music(seed=0, duration_s=2)
    x += noise(x, -45, 1)
    both, alone = (restorer.restore(audio, RATE).audio[0] for audio in (rows(x, late(x, 6)), rows(x)))
    assert np.abs(third_octaves_db(both) - third_octaves_db(alone)).max() < 0.5
