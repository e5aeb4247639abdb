"""The one error that is for the user to read."""


class UserError(ValueError):
    """Something that the user gave cannot be used; the message is a sentence: what, which file, what to do."""
