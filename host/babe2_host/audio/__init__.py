"""Audio files: read, written, cut, and what is in them besides the samples."""
