"""Leaves a recording as it is and adds what a restoration makes above 4 kHz: python parallel.py IN.wav OUT.wav"""

import sys

import soundfile
from pedalboard import Gain, HighpassFilter

from babe2_fx import GenerativeEQ
from babe2_host import Board, Mix

audio, sample_rate = soundfile.read(sys.argv[1], dtype="float32")
highs = Board([GenerativeEQ("piano", quality="draft"), HighpassFilter(4000), Gain(-3)])
mix = Mix([None, highs])  # None is the recording itself
soundfile.write(sys.argv[2], mix(audio, sample_rate), sample_rate)
