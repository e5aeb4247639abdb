"""Restores a recording to the spectrum of others: python match.py IN.wav OUT.wav REFERENCE.wav [REFERENCE.wav ...]"""

import sys

import soundfile

from babe2_fx import GenerativeEQ, TargetProfile

audio, sample_rate = soundfile.read(sys.argv[1], dtype="float32")
effect = GenerativeEQ("piano", quality="draft", target=TargetProfile.from_recordings(sys.argv[3:]), target_match=1.0)
soundfile.write(sys.argv[2], effect(audio, sample_rate), sample_rate)
before, after = effect.ltas_distance_db
print(f"Distance from the target, dB: {before:.1f} before, {after:.1f} after")
