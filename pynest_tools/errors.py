# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that the user can mend."""


class UserError(Exception):
    """What the user gave cannot work; the message says what, why, and what to do.

    The command line prints it as one sentence, without a traceback, and exits with code 2.
    """


class SpecificationError(UserError, ValueError):
    """A specification (TOML file, ``--set``, or mapping) that is not a possible run."""


class Remark(UserWarning):
    """What the user should know, though all goes on; the command line prints it as a note."""
