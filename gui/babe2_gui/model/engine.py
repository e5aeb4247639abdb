"""What the app asks of the engine: the same effect, targets and spectra as the command line's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from babe2_fx.audio.mapped import as_tensor
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.errors import UserError
from babe2_fx.settings import BASELINES
from babe2_host.audio.recording import Recording, raised, read_recording

from .curve import TargetCurve, aligned
from .options import RenderOptions, with_effect

LEAST_HZ = 44100  # recordings of lower rates are brought to it, or there would be no room for what is made
LONG_S, PARTS = 300, 60  # of a longer recording, so many parts stand for all of it


def opened(path: str | os.PathLike) -> Recording:
    """A recording to work on, at `LEAST_HZ` or more. Raises FileError and RoomError as `read_audio`."""
    recording = read_recording(path)
    return recording if recording.sample_rate >= LEAST_HZ else raised(recording, LEAST_HZ)


def effect_for(options: RenderOptions, target: TargetCurve | None, prior=None, **settings):
    """The `GenerativeEQ` that renders so.

    `prior` stands in for the preset's; `settings` override all others, and those that then have no effect are left out.
    """
    from babe2_fx import GenerativeEQ
    own = load_preset(options.preset).settings(options.quality)
    values, _ = with_effect(own, options.expert | {"seed": options.seed} | settings)
    return GenerativeEQ(options.preset, options.quality, target=target.profile() if target else None,
                        target_match=options.target_match, device=options.device, prior=prior, **values)


def equalized(audio: np.ndarray, sample_rate: float, options: RenderOptions, target: TargetCurve | None,
              prior=None) -> np.ndarray:
    """What a plain equalizer from long-term spectra makes of audio (channels, samples), to compare with."""
    effect = effect_for(options, target, prior, **BASELINES["ltas-eq"])
    return effect.process(audio, sample_rate)


def preset_curve(options: RenderOptions, prior=None) -> TargetCurve:
    """The spectrum of the music that the preset's prior was trained on. Raises UserError if it has none."""
    from babe2_fx import TargetProfile
    from babe2_fx.effect import shared_prior
    preset = load_preset(options.preset)
    profile = TargetProfile.from_prior(prior or shared_prior(preset.prior_path, options.device))
    return TargetCurve.from_spectrum(profile.freqs_hz, profile.level_db, f"preset {preset.title}")


def target_from_file(path: str | os.PathLike) -> TargetCurve:
    """A target from a curve's file or a recording. Raises UserError, naming the file."""
    from babe2_fx import TargetProfile
    profile = TargetProfile.from_file(path)
    return TargetCurve.from_spectrum(profile.freqs_hz, profile.level_db, Path(path).name)


def spectrum(audio: np.ndarray, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The third-octave LTAS of audio (channels, samples): Hz, and dB as the curves of a result are aligned."""
    from babe2_fx.spectra import ltas, ltas_fft_size, smooth_octave
    samples, most = audio.shape[1], int(LONG_S * sample_rate)
    if samples > most:
        length = most // PARTS
        starts = np.linspace(0, samples - length, PARTS).astype(int)
        audio = np.concatenate([audio[:, start:start + length] for start in starts], axis=1)
    power = smooth_octave(ltas(as_tensor(audio), ltas_fft_size(sample_rate))).numpy()
    hz = np.linspace(0, sample_rate / 2, len(power))
    return hz[1:], aligned(hz, 10 * np.log10(np.maximum(power, 1e-16)))[1:]


def devices() -> list[tuple[str, str]]:
    """The devices to choose from, (name, words for the user); a GPU with its name and memory."""
    import torch
    found = [("auto", "Automatic"), ("cpu", f"CPU ({os.cpu_count()} cores)")]
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2 ** 30
        found.append(("cuda", f"{torch.cuda.get_device_name(0)} ({memory:.0f} GB)"))
    return found


def sentence(error: Exception) -> str:
    """An error as a sentence for the user, with a way out if it has none itself."""
    if isinstance(error, (UserError, ValueError)) and str(error):
        return str(error)
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
        return ("There is not enough memory for this. Restore a shorter passage, or choose the CPU in place of the "
                "GPU.")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}. Check the file and its folder, then try again."
    return (f"Something unexpected went wrong ({type(error).__name__}: {error}). Your work is still there: save it and "
            "try again.")
