"""What listens for the Fréchet audio distance: networks that turn a recording into one vector per moment.

`vibenet` works without a download, since its package includes its network. VGGish, CLAP and EnCodec, with which the
paper was evaluated, come through the library fadtk if the user has it and its weights.
"""

from __future__ import annotations

import importlib
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import torch

from ..audio.resampling import resample
from ..errors import UserError

EMBEDDINGS = ("vibenet", "vggish", "clap", "encodec")
LEVEL = 0.1  # standard deviation to which every recording is brought: how loud a transfer is says nothing about it
SILENCE = 1e-7


class EmbeddingError(UserError):
    """An embedding that is not available, or audio that has none; the message says why and what to do."""


class Embedding(Protocol):
    """A network that hears.

    name: as in `EMBEDDINGS` · hears: a sentence for the reader of the results.
    """

    name: str
    hears: str

    def frames(self, audio: np.ndarray, sample_rate: float) -> np.ndarray:
        """Mono audio (samples,) at any level -> (frames, dims). Raises EmbeddingError for silence."""


def load_embedding(name: str) -> Embedding:
    """One of `EMBEDDINGS`. Raises EmbeddingError if its package is not installed."""
    if name not in EMBEDDINGS:
        raise EmbeddingError(f"There is no embedding called {name!r}; there are {', '.join(EMBEDDINGS)}.")
    return VibeNet() if name == "vibenet" else Fadtk(name)


def resampled(audio: np.ndarray, source_hz: float, target_hz: float) -> np.ndarray:
    """Mono audio (samples,) at another rate."""
    return resample(torch.from_numpy(audio), source_hz, target_hz).numpy()


def _need(module: str):
    if find_spec(module) is None:
        raise EmbeddingError(f"Evaluation needs the package {module}, which is not installed: "
                             "pip install 'babe2-fx[evaluate]'.")
    return importlib.import_module(module)


def _levelled(audio: np.ndarray) -> np.ndarray:
    audio = np.asarray(audio, dtype=np.float64) - np.mean(audio)
    level = audio.std() if audio.size else 0.0
    if not level > SILENCE:
        raise EmbeddingError("A silent recording has no embedding.")
    return audio * (LEVEL / level)


class VibeNet:
    """The music network of the package `vibenet`: an EfficientNet on mel spectra, its 256 features before the heads.

    It was trained on the Free Music Archive to tell how acoustic, lively, spoken ... a piece is. It is given pictures
    of one second every quarter of a second, whose 128 mel bands reach to 11.025 kHz in place of its own 8 kHz, so that
    it hears all of what a prior at 22.05 kHz makes.
    """

    name = "vibenet"
    hears = ("0 to 11 kHz, 80 dB down from the loudest; one vector for each second. Band limits and noise first; "
             "colouration of a few dB hardly more than the difference between two recordings of one piano")
    sample_rate = 22050
    frame, hop, fft, bands = 882, 441, 1412, 128  # samples; 40 ms every 20 ms, as it was trained
    columns, step = 50, 12  # of a picture: 1 s, every 0.24 s
    range_db = 80.0

    def __init__(self):
        onnx, runtime = _need("onnx"), _need("onnxruntime")
        found = find_spec("vibenet")
        if found is None:
            _need("vibenet")
        model = onnx.load(Path(found.origin).parent / "artifacts" / "efficientnet_model.onnx")
        # The network outputs only its seven verdicts; the features they are made of are taken from the node before.
        features = next(node.output[0] for node in model.graph.node if node.op_type == "Gelu")
        model.graph.output.append(onnx.helper.make_tensor_value_info(features, onnx.TensorProto.FLOAT, None))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # pictures are small
        options.log_severity_level = 3
        self._features, self._input = features, model.graph.input[0].name
        self._session = runtime.InferenceSession(model.SerializeToString(), options,
                                                 providers=["CPUExecutionProvider"])

    def frames(self, audio: np.ndarray, sample_rate: float) -> np.ndarray:
        mel = self._mel_db(resampled(_levelled(audio), sample_rate, self.sample_rate))
        if mel.shape[1] < self.columns:
            raise EmbeddingError(f"A recording must last {(self.columns + 1) * self.hop / self.sample_rate:.2f} s or "
                                 "longer to be embedded by vibenet.")
        pictures = (mel[None, :, start:start + self.columns]
                    for start in range(0, mel.shape[1] - self.columns + 1, self.step))
        return np.concatenate([self._session.run([self._features], {self._input: picture})[0].reshape(1, -1)
                               for picture in pictures]).astype(np.float64)

    def _mel_db(self, audio: np.ndarray) -> np.ndarray:
        """Mel spectrogram (bands, columns) float32 in dB, as the network was trained on but for its highest band."""
        import torchaudio.functional as AF
        audio = np.pad(audio, (0, max(0, self.frame - len(audio))))
        frames = np.lib.stride_tricks.sliding_window_view(audio, self.frame)[::self.hop]
        window = np.hanning(self.frame + 1)[:-1]
        filters = AF.melscale_fbanks(self.fft // 2 + 1, 0.0, self.sample_rate / 2, self.bands, self.sample_rate,
                                     norm="slaney", mel_scale="slaney").double().numpy()
        power = np.concatenate([np.abs(np.fft.rfft(frames[start:start + 1024] * window, self.fft)) ** 2 @ filters
                                for start in range(0, len(frames), 1024)])
        level_db = 10 * np.log10(power.clip(min=1e-10)).T
        return level_db.clip(min=level_db.max() - self.range_db).astype(np.float32)


class Fadtk:
    """An embedding of the library fadtk, computed by its own code: VGGish, CLAP (LAION) or EnCodec (24 kHz)."""

    def __init__(self, name: str):
        if find_spec("fadtk") is None:
            raise EmbeddingError(f"The embedding {name} needs the package fadtk, which downloads its weights: "
                                 "pip install fadtk. vibenet works without it.")
        try:
            models = importlib.import_module("fadtk.model_loader")
            self._model = {"vggish": lambda: models.VGGishModel(), "clap": lambda: models.CLAPLaionModel("audio"),
                           "encodec": lambda: models.EncodecEmbModel("24k")}[name]()
            self._model.load_model()
        except Exception as error:  # whatever a download or another library's import may raise
            raise EmbeddingError(f"fadtk could not load its model for {name}: {error}") from error
        self.name, self.hears = name, f"as {self._model.name} of fadtk, at {self._model.sr} Hz"

    def frames(self, audio: np.ndarray, sample_rate: float) -> np.ndarray:
        audio = resampled(_levelled(audio), sample_rate, self._model.sr)
        audio = audio / max(1.0, np.abs(audio).max())
        with tempfile.TemporaryDirectory() as folder:  # its models read files, of 16 bits
            path = Path(folder) / "audio.wav"
            soundfile.write(path, audio, self._model.sr, subtype="PCM_16")
            frames = self._model.get_embedding(self._model.load_wav(path))
        return np.asarray(frames, dtype=np.float64).reshape(len(frames), -1)
