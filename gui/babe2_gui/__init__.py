"""The desktop app of BABE-2 FX."""
