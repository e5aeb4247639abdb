"""The files of a corpus, each whole as soon as it has its name."""

import json

import numpy as np
import soundfile

from ...files import whole_file
from . import SAMPLE_RATE


def write_json(path, data):
    """Writes `data` as JSON."""
    with whole_file(path) as part:
        part.write_text(json.dumps(data))


def write_flac(path, audio):
    """Writes audio (samples,) as 16-bit mono FLAC. Raises ValueError for values that are not finite."""
    if not np.isfinite(audio).all():
        raise ValueError(f"{path.name}: the audio has values that are not finite")
    with whole_file(path) as part:
        soundfile.write(part, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
