"""BABE-2 FX: a generative equalizer for old music recordings."""
