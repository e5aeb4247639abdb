"""One recording through a board into a file."""
