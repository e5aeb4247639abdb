"""What the embeddings hear: known degradations of real pianos, in their order."""

import sys

import numpy as np
import pytest
import soundfile

from babe2_fx.errors import UserError
from babe2_fx.evaluation import (
    Response,
    add_noise,
    apply_response,
    embedding_statistics,
    frechet_distance,
    load_embedding,
)

HORN = [(480, 9.0, 0.35), (1150, -7.0, 0.4), (2300, 10.0, 0.3)]  # resonances: Hz, dB, width in octaves


def lowpass(cutoff_hz):
    hz = np.geomspace(20, 22050, 400)
    return Response("curve", tuple(hz), tuple(-80 * np.log2(hz / cutoff_hz).clip(min=0)))


def horn(strength):
    hz = np.geomspace(20, 22050, 400)
    level = sum(db * np.exp(-0.5 * (np.log2(hz / centre) / width) ** 2) for centre, db, width in HORN)
    return Response("curve", tuple(hz), tuple(strength * level))


@pytest.fixture(scope="module")
def vibenet():
    for package in ("vibenet", "onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs {package}, of the extra 'evaluate'")
    return load_embedding("vibenet")


@pytest.fixture(scope="module")
def pianos(shared):
    """Ten seconds each of two real pianos to degrade, and the ten before them for reference."""
    found = []
    for piece in ("ragtime", "waltz"):
        audio, rate = soundfile.read(shared / "audio" / f"piano_{piece}_clean.flac", always_2d=True)
        found.append((audio.T[:, :10 * rate], audio.T[:, 10 * rate:20 * rate], rate))
    return found


@pytest.fixture(scope="module")
def distance(vibenet, pianos):
    """distance(make): of both pianos, each through `make(audio, rate)`, from the reference."""
    reference = embedding_statistics(np.concatenate([vibenet.frames(first[0], rate) for first, _, rate in pianos]))

    def measure(make):
        frames = [vibenet.frames(make(second, rate)[0], rate) for _, second, rate in pianos]
        return frechet_distance(*reference, *embedding_statistics(np.concatenate(frames)))
    return measure


def test_lower_band_limits_are_further_away(distance):
    eight, four, two = (distance(lambda x, rate, hz=hz: apply_response(x, rate, lowpass(hz)))
                        for hz in (8000, 4000, 2000))
    assert eight < four < two and two > 3 * eight


def test_more_noise_is_further_away(distance):
    distances = [distance(lambda x, rate, db=db: add_noise(x, None, snr_db=db)[0]) for db in (30, 20, 10)]
    assert distances == sorted(distances) and distances[-1] > 3 * distances[0]


def test_stronger_horns_are_further_away(distance):
    distances = [distance(lambda x, rate, s=s: apply_response(x, rate, horn(s))) for s in (0.5, 1.0, 2.0)]
    assert distances == sorted(distances)


def test_level_and_offset_of_a_transfer_do_not_count(vibenet, pianos):
    audio, rate = pianos[0][0][0, :66150], pianos[0][2]
    assert np.allclose(vibenet.frames(audio, rate), vibenet.frames(0.01 * audio + 0.2, rate), atol=1e-3)


def test_silence_and_snippets_are_refused(vibenet):
    with pytest.raises(UserError, match="silent"):
        vibenet.frames(np.zeros(44100), 44100)
    with pytest.raises(UserError, match="1.02 s"):
        vibenet.frames(np.random.default_rng(0).normal(size=10000), 22050)


def test_unknown_embeddings_and_missing_packages_are_named():
    with pytest.raises(UserError, match="vibenet, vggish, clap, encodec"):
        load_embedding("ears")
    if "fadtk" not in sys.modules and importlib_cannot_find("fadtk"):
        with pytest.raises(UserError, match="pip install fadtk"):
            load_embedding("vggish")


def importlib_cannot_find(name):
    from importlib.util import find_spec
    return find_spec(name) is None


MODEL_LOADER = '''
import numpy as np, soundfile

class VGGishModel:
    name, sr = "vggish", 16000
    def load_model(self):
        self.loaded = True
    def load_wav(self, path):
        audio, rate = soundfile.read(path, dtype="int16")
        assert self.loaded and rate == self.sr and audio.ndim == 1
        return audio / 32768.0
    def get_embedding(self, audio):
        seconds = audio[:len(audio) // self.sr * self.sr].reshape(-1, self.sr)
        return np.stack([seconds.std(axis=1), seconds.max(axis=1)], axis=1).astype(np.float16)
'''


def test_fadtk_models_are_given_files_as_fadtk_would_give_them(tmp_path, monkeypatch):
    if not importlib_cannot_find("fadtk"):
        pytest.skip("fadtk itself is installed")
    (tmp_path / "fadtk").mkdir()
    (tmp_path / "fadtk" / "__init__.py").touch()
    (tmp_path / "fadtk" / "model_loader.py").write_text(MODEL_LOADER)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        embedding = load_embedding("vggish")
        tone = 0.7 * np.sin(2 * np.pi * 440 * np.arange(3 * 44100) / 44100)
        frames = embedding.frames(tone, 44100)
    finally:
        for name in ("fadtk", "fadtk.model_loader"):
            sys.modules.pop(name, None)
    assert frames.shape == (3, 2) and frames.dtype == np.float64
    assert np.allclose(frames[1], [0.1, 0.1 * 2 ** 0.5], atol=2e-3)  # brought to one level
