"""The one exception that means "the user can mend this"."""


class UserError(ValueError):
    """Bad input: says what was given, what is allowed and what to do next. The CLI exits 2 with it."""


class StudyError(RuntimeError):
    """A search had to end early; what was finished is kept. The CLI exits 1 with it."""


NO_MEMORY = (
    "torch could not be loaded for lack of memory; it takes about 4 GB of address space: close other programs, or "
    "raise the limit of this shell (ulimit -v unlimited) or of the job"
)


def lacks_memory(error: ImportError | MemoryError) -> bool:
    """Return whether a module could not be loaded because the memory, or the address space, is too small."""
    words = ("failed to map segment", "cannot allocate memory")
    return isinstance(error, MemoryError) or any(each in str(error).lower() for each in words)
