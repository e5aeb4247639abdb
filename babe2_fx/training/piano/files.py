"""Files that are whole as soon as they have their name: each is written under another one first."""

import json
import os
from pathlib import Path

import numpy as np
import soundfile

from . import SAMPLE_RATE


def write_json(path, data):
    """Writes `data` as JSON."""
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(data))
    os.replace(temporary, path)


def write_flac(path, audio):
    """Writes audio (samples,) as 16-bit mono FLAC. Raises ValueError for values that are not finite."""
    if not np.isfinite(audio).all():
        raise ValueError(f"{path.name}: the audio has values that are not finite")
    temporary = path.with_name(path.name + ".part")
    soundfile.write(temporary, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(temporary, path)
