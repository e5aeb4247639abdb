"""Watches the equalizer being learned, and keeps it: python watch.py IN.wav OUT.wav EQ.json"""

import sys
from pathlib import Path

import soundfile

from babe2_fx import GenerativeEQ

audio, sample_rate = soundfile.read(sys.argv[1], dtype="float32")
effect = GenerativeEQ("piano", quality="draft", progress=lambda now: print(f"{now.share_done:4.0%}  {now.equalizer}"))
soundfile.write(sys.argv[2], effect(audio, sample_rate), sample_rate)
Path(sys.argv[3]).write_text(effect.result.eq_json())
