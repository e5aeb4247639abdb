"""The host of BABE-2 FX: audio files, the command line, reports."""
