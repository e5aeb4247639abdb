"""What a run leaves for people: the preset and the card next to the prior, logs and examples."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import soundfile
from torch import Tensor

from ..catalogue.presets import preset_text
from ..files import whole_file
from .config import TrainingConfig

log = logging.getLogger(__name__)

NAMES = {"mixer": "band mixer", "unet": "CQT-Diff+"}  # of kinds of networks, for people
EXAMPLE_LEVEL = 0.063  # standard deviation; leaves music its peaks


def for_listening(audio: Tensor) -> Tensor:
    """Audio (samples,) at a level to listen to, nowhere clipped."""
    audio = audio * (EXAMPLE_LEVEL / audio.std().clamp(min=1e-12))
    return audio * (0.99 / audio.abs().max().clamp(min=0.99))


class Logs:
    """TensorBoard logs and drawn examples of a run, in its folder."""

    def __init__(self, folder: Path, first_step: int):
        self.folder, self.writer = folder, None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("There are no TensorBoard logs: pip install 'babe2-fx[train]'.")
            return
        # Drops what a killed run logged after the state that is resumed from.
        try:
            self.writer = SummaryWriter(folder / "logs", purge_step=first_step)
        except UnicodeEncodeError:
            log.info("There are no TensorBoard logs: it cannot write to %s, whose name is not text.", folder)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        if self.writer:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def example(self, step: int, audio: Tensor, sample_rate: int) -> Path:
        """Keeps a drawn example (samples,), as a file and in the logs."""
        path = self.folder / "examples" / f"step-{step:07d}.flac"
        path.parent.mkdir(exist_ok=True)
        audio = for_listening(audio.cpu())
        with whole_file(path) as part:
            soundfile.write(os.fsencode(part), audio.numpy(), sample_rate, format="FLAC")
        if self.writer:
            self.writer.add_audio("example", audio[None], step, sample_rate)
        return path

    def close(self) -> None:
        if self.writer:
            self.writer.close()


def write_preset(prior: Path, config: TrainingConfig, sigma_data: float, info: dict) -> None:
    """Writes NAME.toml, unless there is one, and NAME.md next to the prior NAME.safetensors: a preset with its card."""
    title = config.title or prior.stem
    preset = prior.with_suffix(".toml")
    if not preset.exists():  # a user may have tuned it
        preset.write_text(preset_text(title, config.description or f"Trained on {info['data']}.",
                                      prior.name, sigma_data), encoding="utf-8")
    prior.with_suffix(".md").write_text(_card(title, config, info), encoding="utf-8")


def _card(title: str, config: TrainingConfig, info: dict) -> str:
    crop_s = config.crop_length / config.sample_rate
    rows = {
        "network": f"{NAMES[config.architecture]}, {config.octaves} octaves x {config.bins_per_octave} bands at "
                   f"{config.sample_rate} Hz, {info['parameters'] / 1e6:.2f} million parameters",
        "domain": f"flattened by {100 * config.flattening:g} %" if config.flattening else "the signal itself",
        "material": f"{info['material_hours']:.2f} h, {info['recordings']} recordings; "
                    f"{info['held_out_recordings']} held out",
        "training": f"{info['steps']} steps of {config.batch * info['processes']} x {crop_s:.2f} s, "
                    f"{config.optimizer}, {info['minutes']:.1f} minutes",
    }
    if info.get("base"):
        rows["fine-tuned from"] = f"{info['base']['file']} (BLAKE2b {info['base']['hash']})"
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    text = (f"# {title}\n\n{config.description}\n\n| | |\n|---|---|\n{table}\n\n"
            f"**Credit.** {config.credit or 'Not stated: the setting `credit` of the training was empty.'}\n")
    if losses := info.get("heldout_loss"):
        heads, values = " | ".join(losses), " | ".join(f"{value:.3f}" for value in losses.values())
        text += (f"\n**Held-out loss** (1 is what a network that knows nothing scores), by noise level where the music "
                 f"has {info['sigma_data']:.3g}:\n\n| noise level | {heads} |\n|---|{'---|' * len(losses)}\n"
                 f"| loss | {values} |\n")
    return text
