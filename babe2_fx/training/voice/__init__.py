"""A synthesised singer, tenor or soprano: the training material of the voice priors.

    python -m babe2_fx.training.voice tenor OUT_DIR --hours 3 --seed 0 --cache CACHE_DIR

No recording of a singer is used. What is known of singing voices makes the sound: the Liljencrants-Fant
glottal source (`glottis`), a vocal tract of formants (`tract`), singers who differ (`singer`), melodies
(`melodies`, `vocalises`) sung in phrases with syllables, legato and vibrato (`phrasing`, `gestures`), heard
through a room (`recording`).

Time runs in frames of HOP samples for everything that moves slower than the vocal folds. Arrays say (frames,)
or (samples,). Frequencies are in Hz, levels in dB, keys are MIDI numbers.
"""

SAMPLE_RATE = 22050  # Hz
HOP = 48  # samples in a frame
FRAME_RATE = SAMPLE_RATE / HOP  # 459 Hz: a formant or a pitch that moves is a polygon of steps of 2.2 ms
