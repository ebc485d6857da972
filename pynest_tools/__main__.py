# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m pynest_tools`` is ``pyramidal``."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="pyramidal")
