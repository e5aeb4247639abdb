"""Arrays as long as a recording, their layout and their sample rate."""
