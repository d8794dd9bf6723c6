"""The one exception that speaks to the user."""


class UserError(Exception):
    """Something the user can mend: its text says what is wrong, where, and what to do, in one line.

    The entry points print that line and exit with a non-zero code, without a traceback. Everything else that is
    raised is a fault of ours and keeps its traceback.
    """
