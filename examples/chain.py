"""Restores a recording in a chain with Pedalboard's plugins: python chain.py IN.wav OUT.wav"""

import sys

import soundfile
from pedalboard import Gain, HighpassFilter, Reverb

from babe2_fx import GenerativeEQ
from babe2_host import Board

audio, sample_rate = soundfile.read(sys.argv[1], dtype="float32")
effect = GenerativeEQ("piano", quality="draft")
board = Board([HighpassFilter(30), effect, Reverb(room_size=0.1, wet_level=0.1), Gain(-3)])
soundfile.write(sys.argv[2], board(audio, sample_rate), sample_rate)
