"""What a result may never be, whatever made it."""

import numpy as np
import pytest
import torch

from babe2_fx.restoration.bounds import MOST_BAND_DB, MOST_LEVEL_DB, MOST_PEAK_DB, bounded

RATE = 44100


def music(make_notes, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(make_notes(RATE, 3.0, 2, seed))


def db(ratio) -> float:
    return 20 * float(np.log10(ratio))


def noise(low_hz: float, high_hz: float, level: float) -> torch.Tensor:
    spectrum = np.fft.rfft(np.random.default_rng(3).normal(size=(2, 3 * RATE)))
    hz = np.fft.rfftfreq(3 * RATE, 1 / RATE)
    spectrum[:, (hz < low_hz) | (hz > high_hz)] = 0
    audio = np.fft.irfft(spectrum, 3 * RATE)
    return torch.from_numpy(level * audio / audio.std()).float()


def test_what_is_within_its_bounds_is_not_touched(make_notes):
    recording = music(make_notes)
    restored = 1.2 * recording + noise(4000, 8000, 1e-3)
    result, notes = bounded(restored.clone(), recording, RATE, (np.array([0, RATE / 2]), np.ones(2)))
    assert torch.equal(result, restored) and notes == []


@pytest.mark.parametrize("gain_db", [4, 20, 80])
def test_it_is_never_much_louder_than_the_recording(make_notes, gain_db):
    recording = music(make_notes)
    result, notes = bounded(recording * 10 ** (gain_db / 20), recording, RATE)
    assert db(result.std() / recording.std()) == pytest.approx(MOST_LEVEL_DB, abs=0.1)
    assert len(notes) == (1 if gain_db < MOST_BAND_DB else 2)
    if gain_db < MOST_BAND_DB:
        assert notes == ["The result was 4 dB louder than the recording; it was lowered by 1 dB."]


def test_a_blast_in_one_band_is_lowered_there_and_nowhere_else(make_notes):
    recording = music(make_notes)
    result, notes = bounded(recording + noise(5000, 7000, 0.2), recording, RATE)
    low, band = (torch.fft.rfft(result - recording).abs()[:, slice(3 * a, 3 * b)].square().sum().sqrt() / 132300 ** 0.5
                 for a, b in ((100, 3000), (5200, 6800)))
    assert db(band / 132300 ** 0.5) < db(0.2) - 20 and low < 1e-2 * recording.norm()
    assert len(notes) == 1 and "dB louder than music can be" in notes[0]


def test_what_is_lowered_twice_is_said_once(make_notes):
    recording = music(make_notes)
    restored = recording + noise(5000, 7000, 1.0)
    restored[:, ::4000] = 50.0  # too high for the noise, and once that is lowered, too high again
    notes = [note for note in bounded(restored, recording, RATE)[1] if "peaks of the result" in note]
    assert len(notes) == 1


def test_a_single_band_is_named_by_its_frequency(make_notes):
    recording = music(make_notes)
    note, = bounded(recording + noise(6200, 6400, 0.1), recording, RATE)[1]
    assert note.startswith("Around 6350 Hz the result was up to")


def test_the_reference_allows_what_the_recording_lacks(make_notes):
    recording = music(make_notes)
    restored = recording + noise(5000, 7000, 0.5 * float(recording.std()))
    aimed = np.array([0, RATE / 2]), np.ones(2)  # white: more than that in each band
    assert bounded(restored.clone(), recording, RATE, aimed)[1] == []
    assert bounded(restored.clone(), recording, RATE)[1] != []


def test_a_peak_is_lowered_and_its_neighbourhood_with_it_smoothly(make_notes):
    recording = music(make_notes) + noise(20, 22000, 0.01)  # else what is left of the click fills the highs
    restored = recording.clone()
    restored[0, 70000] += 8000.0
    result, notes = bounded(restored, recording, RATE)
    most = recording.abs().max() * 10 ** (MOST_PEAK_DB / 20)
    assert result.abs().max() < 1.1 * most
    far = torch.ones(result.shape[1], dtype=torch.bool)
    far[70000 - 500:70000 + 500] = False
    ratio = result[:, far].std() / recording[:, far].std()
    assert torch.allclose(result[:, far], ratio * recording[:, far], atol=1e-3)
    assert abs(ratio - 1) < 0.02 and len(notes) == 1
    assert any("the first at 1.59 s" in note for note in notes)


def test_an_offset_is_no_loudness(make_notes):
    recording = music(make_notes)
    assert bounded(recording.clone(), recording + 0.3, RATE)[1] == []
    result, notes = bounded(10 * recording, recording + 0.3, RATE)
    assert db(result.std() / recording.std()) == pytest.approx(MOST_LEVEL_DB, abs=0.1) and notes


@pytest.mark.parametrize("samples", [1, 50, 2000])
@pytest.mark.parametrize("rate", [8000, 22050, 192000])
def test_short_and_silent_recordings_are_taken(samples, rate):
    audio = torch.zeros(1, samples)
    assert torch.equal(bounded(audio.clone(), audio, rate)[0], audio)
    audio[0, samples // 2] = 0.5
    assert torch.equal(bounded(audio.clone(), audio, rate)[0], audio)


def test_what_had_lost_its_peaks_may_get_them_back(make_notes):
    recording = music(make_notes).clamp(-0.05, 0.05)
    restored = 6 * recording
    assert bounded(restored.clone(), recording, RATE, is_whole=False) != []
    assert torch.equal(bounded(2 * recording, recording, RATE, is_whole=False)[0], 2 * recording)
