"""Long-term spectra, LTAS-EQ and targets."""

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.errors import UserError
from babe2_fx.spectra import (
    TargetError,
    TargetProfile,
    analyse,
    apply_response,
    filter_frequencies,
    ltas,
    ltas_distance_db,
    ltas_response,
    smooth_octave,
    synthesise,
)
from closeness import relative


def test_ltas_and_its_smoothing_are_the_published_ones(reference):
    z = np.load(reference / "breakpoint_filter_22k.npz")
    power = ltas(torch.from_numpy(z["x"]), 4096)
    assert relative(power, z["ltas"]) < 1e-4
    assert relative(smooth_octave(torch.from_numpy(z["ltas"])), z["ltas_smoothed_third_octave"]) < 1e-4


def test_ltas_of_a_long_recording_is_the_mean_over_all_frames():
    x = torch.randn(1, 2048 * 512 * 2 + 12345, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    window = torch.hann_window(2048, dtype=torch.float64)
    direct = torch.stft(x, 2048, 512, window=window, return_complex=True).abs().square().mean(-1)[0] / window.sum()
    assert relative(ltas(x, 2048), direct.numpy()) < 1e-6


def test_analysis_is_undone_by_synthesis():
    x = torch.randn(2, 30001, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(synthesise(analyse(x), 30001), x, atol=1e-5)


def test_ltas_eq_finds_a_smooth_response_and_stops_at_its_floor():
    x = torch.randn(1, 400000, generator=torch.Generator().manual_seed(0))
    hz = filter_frequencies(22050).numpy()
    true_db = np.interp(np.log2(hz + 1), np.log2([1, 100, 1000, 3000, 6000, 11026]), [-6, -6, 3, 0, -40, -60])
    y = apply_response(x, torch.from_numpy(10 ** (true_db / 20)))
    unit = [ltas(s / s.std(), 2048) for s in (y, x)]
    found_db = 20 * np.log10(ltas_response(*unit).numpy())
    level = float(20 * torch.log10(x.std() / y.std()))
    inside = (hz > 150) & (hz < 2500)
    assert np.abs(found_db - true_db - level)[inside].max() < 1.5
    assert found_db[hz > 8000].max() == pytest.approx(-20)


def test_distance_of_equal_spectra_is_least():
    power = torch.rand(1025, dtype=torch.float64) + 0.1
    assert ltas_distance_db(power, power) < -200
    assert ltas_distance_db(2 * power, power) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name,text", [("c.txt", "# Hz dB\n100 -3\n1000 0\n10000 -20\n"),
                                       ("c.csv", "frequency,level\n100,-3\n1000,0\n10000,-20\n"),
                                       ("c.csv", "100;-3\n1000;0\n10000;-20\n"),
                                       ("bom.csv", "\ufeff100,-3\n1000,0\n10000,-20\n"),
                                       ("german.csv", "Hz;dB\n100,0;-3,0\n1000,0;0,0\n10000;-20\n"),
                                       ("c.json", '{"freqs_hz": [100, 1000, 10000], "level_db": [-3, 0, -20]}')])
def test_targets_are_read_from_curves(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    target = TargetProfile.from_file(path)
    assert target.at([100, 1000, 10000, 20000]).tolist() == [-3, 0, -20, -20]
    assert target.at([np.sqrt(100 * 1000)])[0] == pytest.approx(-1.5)


def test_target_from_a_recording_is_its_spectrum(tmp_path):
    x = np.random.default_rng(0).standard_normal((44100 * 4, 2)) * 0.1
    path = tmp_path / "reference.wav"
    soundfile.write(path, x, 44100)
    level = TargetProfile.from_file(path).at(np.array([300, 1000, 5000, 15000]))
    assert np.ptp(level) < 1.5


def test_target_as_ltas_has_the_scale_of_unit_variance():
    flat = TargetProfile((20, 20000), (5, 5)).to_ltas(22050, 1025)
    noise = ltas(torch.randn(1, 200000, generator=torch.Generator().manual_seed(0)), 2048)
    assert float(flat.mean()) == pytest.approx(float(noise.mean()), rel=0.02)


@pytest.mark.parametrize("name,text,says", [("c.txt", "100 -3\nten 0\n", "line 2"), ("c.txt", "", "c.txt"),
                                            ("c.json", "{", "JSON"), ("c.json", "{}", "freqs_hz"),
                                            ("c.txt", "100 1\n100 2\n", "rising"), ("c.wav", "no sound", "c.wav"),
                                            ("c.txt", "100 nan\n200 1\n", "finite"),
                                            ("c.json", '{"freqs_hz": ["a", 2], "level_db": [1, 2]}', "c.json")])
def test_bad_targets_are_refused_with_the_file_and_the_reason(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        TargetProfile.from_file(path)
    assert name in str(caught.value)


def test_missing_target_is_refused_by_name(tmp_path):
    with pytest.raises(TargetError, match="nothing.txt"):
        TargetProfile.from_file(tmp_path / "nothing.txt")
