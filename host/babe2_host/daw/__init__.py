"""Restoration in DAWs: scripts that they run, and clients of those that can be controlled from outside."""
