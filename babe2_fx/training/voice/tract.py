"""The vocal tract: vowels as formant frequencies, and the response of a cascade of formants.

A cascade (G. Fant, Acoustic Theory of Speech Production, 1960) needs no formant levels: they follow from the
frequencies, so that formants which come close raise each other. That is the singer's formant (J. Sundberg,
"Articulatory interpretation of the 'singing formant'", JASA 55, 1974): F3, F4 and F5 in a cluster. Above the
five formants of a vowel the tract goes on as a tube.
"""

import numpy as np

# The five formants of sung vowels, as in the tables that come with Csound (appendix "Formant values" of its manual).
VOWELS = {
    "tenor": {
        "a": (650, 1080, 2650, 2900, 3250),
        "e": (400, 1700, 2600, 3200, 3580),
        "i": (290, 1870, 2800, 3250, 3540),
        "o": (400, 800, 2600, 2800, 3000),
        "u": (350, 600, 2700, 2900, 3300),
    },
    "soprano": {
        "a": (800, 1150, 2900, 3900, 4950),
        "e": (350, 2000, 2800, 3600, 4950),
        "i": (270, 2140, 2950, 3900, 4950),
        "o": (450, 800, 2830, 3800, 4950),
        "u": (325, 700, 2700, 3800, 4950),
    },
}
# Vowels that lie next to each other: mixtures of these are vowels too (an open e lies between a and e).
NEIGHBOURS = {"a": "eo", "e": "ai", "i": "eu", "o": "au", "u": "oi"}
FORMANTS = 14  # up to above 11 kHz, also in the longest tract
SPACING_HZ = {"tenor": 1000.0, "soprano": 1130.0}  # of the formants above the fifth: c / 2L for 17.5 and 15.5 cm
CLUSTER_HZ = 2800.0  # centre of a tenor's singer's formant


def vowel_formants(voice, vowel, other=None, share=0.0):
    """Formants (FORMANTS,) Hz of a vowel, moved by `share` towards the vowel `other`."""
    low = np.array(VOWELS[voice][vowel], float)
    if other is not None:
        # Along a straight line in log frequency, which is how vowels sound evenly spaced.
        low = low ** (1 - share) * np.array(VOWELS[voice][other], float) ** share
    spacing = SPACING_HZ[voice]
    first = np.maximum(low[4] + 0.75 * spacing, 4.5 * spacing)
    return np.concatenate([low, first + spacing * np.arange(FORMANTS - 5)])


def bandwidths(formants):
    """Bandwidths in Hz of formants in Hz, any shape: 50 to 80 Hz below 1 kHz, then rising with radiation losses."""
    return 50 + 0.02 * formants + 0.000011 * formants**2


def higher_poles_db(hz, spacing_hz, highest_hz):
    """Gain in dB at hz of the formants above the last one that is modelled: the rest of a tube's endless series.

    Without it a cascade of n formants falls by 12n dB per octave above them.
    """
    poles = highest_hz + spacing_hz * np.arange(1, 400)
    ratio = (np.asarray(hz)[..., None] / poles) ** 2
    tail = np.asarray(hz) ** 2 / (spacing_hz * poles[-1])
    return 20 / np.log(10) * (tail - np.log1p(-np.minimum(ratio, 0.97)).sum(-1))


def tract_response(hz, formants, widths, dips_hz=()):
    """Complex response (frames, n) at hz (frames, n) of formants and their widths, (frames, FORMANTS) Hz
    each; 0 dB at DC.

    dips_hz: centres of the narrow dips that the side cavities above the larynx make (J. Dang and K. Honda,
    JASA 101, 1997).
    """
    above, below = np.ones(hz.shape, complex), np.ones(hz.shape, complex)
    square = hz * hz
    for centre, width in zip(formants.T, widths.T):
        whole = (centre**2 + width**2 / 4)[:, None]
        below *= 1 - square / whole + 1j * (hz * (width[:, None] / whole))
    for dip in dips_hz:
        pole = 1.08 * dip  # each comes with a resonance, so that it leaves what lies far from it alone
        above *= 1 - square / dip**2 + 1j * (hz * (0.06 / dip))
        below *= 1 - square / pole**2 + 1j * (hz * (0.16 / pole))
    return above / below
