"""The one exception that means "the user can mend this"."""


class UserError(ValueError):
    """Bad input: says what was given, what is allowed and what to do next. The CLI exits 2 with it."""


class StudyError(RuntimeError):
    """A search had to end early; what was finished is kept. The CLI exits 1 with it."""
