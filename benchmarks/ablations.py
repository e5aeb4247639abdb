"""What each addition to the paper is worth: restorations with all of them, and with each switched off in turn.

    python benchmarks/ablations.py CLEAN.flac ... [--preset piano] [--quality draft] [--seconds 8.3] [--table OUT.md]

Every recording is degraded with a breakpoint response and with a horn's, both known, and noise 60 dB below it, as
`babe2 evaluate --clean` does; the scores are those of `docs/results.md`, means over all excerpts. An addition is
switched off by its setting, or if it has none, by a stand-in that does nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import soundfile
from scipy.signal import stft

from babe2_fx.beyond import completion
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.evaluation.degradations import add_noise, apply_response, random_response
from babe2_fx.evaluation.embeddings import resampled
from babe2_fx.evaluation.scores import filter_error_db, full_reference_scores
from babe2_fx.priors import load_prior
from babe2_fx.restoration import Restorer

SCORED_HZ = 22050
KINDS = ("breakpoints", "horn")


@dataclass(frozen=True)
class Ablation:
    """A row: what is off, the file it is in, and how it is switched off: by settings or by stand-ins."""

    name: str
    file: str = ""
    settings: dict = field(default_factory=dict)
    stand_ins: tuple[tuple[object, str, Callable], ...] = ()

    @property
    def switch(self) -> str:
        settings = ", ".join(f"`{name} = {value}`" for name, value in self.settings.items())
        return ", ".join(part for part in (settings, "a stand-in" if self.stand_ins else "") if part)


ABLATIONS = (
    Ablation("all on"),
    Ablation("direct guidance", "direct_guidance.py, completion.py", {"guidance": "gradient"}),
    Ablation("fit by bands", "band_fit.py", {"filter_fit": "adam"}),
    Ablation("learned levels", "local_levels.py", {"levels": "long-term"}),
    Ablation("completion by spots", "completion.py", {"levels": "long-term"}, (
        (completion.Completion, "__bool__", lambda self: False),)),
    Ablation("noise floor", "noise_floor.py", {"recording_noise": "ignored"}),
    Ablation("response model", "medium.py", {"response_prior": "ltas"}),
    Ablation("response model, expectation of the fit", "medium.py, band_fit.py", {"response_prior": "none"}),
    Ablation("response model, direct guidance", "", {"response_prior": "ltas", "guidance": "gradient"}),
    Ablation("response model, expectation, direct guidance", "", {"response_prior": "none", "guidance": "gradient"}),
    Ablation("response model, fit by bands", "", {"response_prior": "ltas", "filter_fit": "adam"}),
)


def excerpts(paths: list[Path], seconds: float, seed: int = 0):
    """Yields each excerpt clean (samples,) and degraded (1, samples), its rate and the true response."""
    for number, path in enumerate(paths):
        clean, rate = soundfile.read(path, dtype="float32", always_2d=True, frames=-1)
        clean = clean.mean(axis=1)[:round(seconds * rate)]
        for kind in KINDS:
            response = random_response(seed + number, kind)
            noisy, _ = add_noise(apply_response(clean[None], rate, response), None, snr_db=60, seed=seed + number)
            yield clean, noisy.astype(np.float32), rate, response.record()


def scores(restorer: Restorer, excerpt) -> list[float]:
    """LTAS error, filter error, LSD in four ranges, and how far the highs follow."""
    clean, noisy, rate, true = excerpt
    result = restorer.restore(noisy, rate)
    original, restored = (resampled(x, rate, SCORED_HZ) for x in (clean, result.audio[0]))
    found = full_reference_scores(original, restored)
    return [found["ltas_error_db"], filter_error_db(true, result.eq_export()), *found["lsd_db"].values(),
            highs_follow(original, restored)]


def highs_follow(original: np.ndarray, restored: np.ndarray) -> float:
    """Correlation over time of the levels in dB in the third octaves at 6.3 and 8 kHz, mean of both.

    original, restored: (samples,) at 22.05 kHz.
    """
    correlations = []
    for centre_hz in (6300, 8000):
        levels = []
        for audio in (original, restored):
            hz, _, spectrum = stft(audio[:min(len(original), len(restored))], SCORED_HZ, nperseg=2048, noverlap=1536)
            band = (hz >= centre_hz / 2 ** (1 / 6)) & (hz < centre_hz * 2 ** (1 / 6))
            levels.append(10 * np.log10((np.abs(spectrum[band]) ** 2).mean(axis=0) + 1e-12))
        correlations.append(np.corrcoef(*levels)[0, 1])
    return float(np.mean(correlations))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--seconds", type=float, default=8.3)
    parser.add_argument("--table", type=Path, metavar="OUT.md")
    options = parser.parse_args()
    preset = load_preset(options.preset)
    prior, settings = load_prior(preset.prior_path), preset.settings(options.quality)
    signals = list(excerpts(options.recordings, options.seconds))
    lines = ["| off | in `beyond/` | switch | LTAS error | filter error | LSD 0.1-1 | 1-4 | 4-8 | 8-10.5 kHz "
             "| highs follow |",
             "|---|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    print(*lines, sep="\n", flush=True)
    for ablation in ABLATIONS:
        with ExitStack() as stack:
            for owner, name, stand_in in ablation.stand_ins:
                stack.enter_context(patch.object(owner, name, stand_in, create=True))
            restorer = Restorer(prior, settings.replace(**ablation.settings))
            means = np.mean([scores(restorer, signal) for signal in signals], axis=0)
        lines.append(f"| {ablation.name} | {ablation.file} | {ablation.switch} | "
                     + " | ".join(f"{mean:.2f}" for mean in means) + " |")
        print(lines[-1], flush=True)
    if options.table:
        options.table.write_text(
            "# Ablations\n\nWhat each addition to the paper brings: mean scores of "
            f"{len(signals)} excerpts, preset {options.preset}, quality {options.quality}, with each addition off in "
            "turn. Errors and distances are in dB, lower is better; *highs follow* is the correlation over time of the "
            "levels at 6.3 and 8 kHz with those of the clean recording, higher is better. `benchmarks/ablations.py` "
            "makes this page; `babe2_fx/beyond/README.md` says what each is for.\n\n"
            + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
