"""A synthesised singer, tenor or soprano: the training material of the voice priors.

    python -m babe2_fx.training.voice tenor OUT_DIR --hours 3 --seed 0 --cache CACHE_DIR

No recording of a singer is used. The sound is made from what is known of singing voices: the Liljencrants-Fant
glottal source (`glottis`), a vocal tract of formants (`tract`), singers who differ (`singer`), melodies
(`melodies`, `vocalises`) sung in phrases with syllables, legato and vibrato (`phrasing`, `gestures`, `pitch`,
`articulation`), in a room (`recording`).

Everything slower than the vocal folds is given per frame of HOP samples. Arrays are (frames,) or (samples,), as it
says. Frequencies are in Hz, levels in dB, keys are MIDI numbers.
"""

SAMPLE_RATE = 22050  # Hz
HOP = 48  # samples in a frame
FRAME_RATE = SAMPLE_RATE / HOP  # 459 Hz: a formant or a pitch that moves is a polygon of steps of 2.2 ms
