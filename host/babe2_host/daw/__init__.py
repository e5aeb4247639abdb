"""What brings restorations into DAWs: scripts that they run, and clients of those that can be spoken to."""
