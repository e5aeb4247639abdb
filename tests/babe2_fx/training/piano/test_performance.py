"""Arranging and playing scores."""

from dataclasses import replace

import numpy as np

from babe2_fx.training.piano.arrangement import accompany, arrange, is_top
from babe2_fx.training.piano.performance import perform


def test_plain_performance_is_the_score(scale):
    played = perform(scale(), np.random.default_rng(0), duration_s=5.0, expressive=False)
    melody = played.onset_s[played.key >= 60]
    assert np.allclose(melody, 0.05 + 0.5 * np.arange(10))
    assert np.all(played.velocity == 64)


def test_expressive_performance_keeps_order_range_and_length(scale):
    for seed in range(20):
        played = perform(scale(), np.random.default_rng(seed), duration_s=20.0)
        assert np.all(np.diff(played.onset_s) >= 0) and 0 < played.onset_s[0] and played.onset_s[-1] < 20.1
        assert np.all(played.release_s > played.onset_s)
        assert np.all((played.velocity >= 1) & (played.velocity <= 127))
        assert len(set(played.key % 12)) == 4  # C, D, E, F in some key


def test_melody_is_louder_than_the_middle_voices(scale):
    score = scale()
    both = replace(  # a second voice a fourth below the melody
        score,
        onset=np.concatenate([score.onset, score.onset[:64]]),
        duration=np.concatenate([score.duration, score.duration[:64]]),
        key=np.concatenate([score.key, score.key[:64] - 5]),
    )
    assert is_top(both)[:64].all() and not is_top(both)[64:].any()
    louder = []
    for seed in range(20):
        played = perform(both, np.random.default_rng(seed), duration_s=60.0)
        lowest = played.key.min()  # the held C an octave under the scale
        top = np.isin(played.key - lowest, [12, 14, 16, 17])
        middle = np.isin(played.key - lowest, [7, 9, 11])
        louder.append(played.velocity[top].mean() - played.velocity[middle].mean())
    assert np.mean(louder) > 6 and np.min(louder) > 0


def test_a_struck_key_is_damped_when_struck_again(scale):
    score = replace(scale(), onset=np.arange(80) * 0.5, duration=np.full(80, 4.0), key=np.full(80, 60))
    played = perform(score, np.random.default_rng(1), duration_s=10.0, expressive=False)
    assert np.all(played.release_s[:-1] <= np.maximum(played.onset_s[1:], played.onset_s[:-1] + 0.03) + 1e-9)


def test_high_keys_have_no_dampers(scale):
    score = replace(scale(), key=scale().key + 36)
    played = perform(score, np.random.default_rng(0), 5.0, expressive=False)
    last_strike = {key: i for i, key in enumerate(played.key)}
    endless = {int(played.key[i]) for i in last_strike.values() if np.isinf(played.release_s[i])}
    assert endless == {key for key in last_strike if key > 88}
    assert np.all(np.isfinite(played.release_s[played.key <= 88]))


def test_accompaniment_leaves_the_melody_and_adds_a_lower_hand(scale):
    melody = 72 + np.array([0, 2, 4, 5] * 16)
    tune = replace(scale(kind="tune"), onset=np.arange(64.0), duration=np.ones(64), key=melody)
    arranged = accompany(tune, np.random.default_rng(0))
    assert len(arranged.onset) > len(tune.onset) + 30
    assert {(o, k) for o, k in zip(tune.onset, tune.key)} <= {(o, k) for o, k in zip(arranged.onset, arranged.key)}
    for seed in range(10):
        for kind in ("tune", "chorale", "ensemble", "keyboard"):
            key = arrange(replace(scale(), kind=kind), np.random.default_rng(seed)).key
            assert key.min() >= 21 and key.max() <= 108
