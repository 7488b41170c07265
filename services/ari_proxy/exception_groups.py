"""What an exception group holds. Pure."""


def first(error: BaseException) -> BaseException:
    """Return the first error in a group, however deep, or the error itself."""
    return first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
