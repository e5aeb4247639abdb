"""Many recordings, by workers in this process, in others, or on other computers."""
