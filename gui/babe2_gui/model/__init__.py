"""What the app knows and does, without Qt: all of it can be driven from a script."""
