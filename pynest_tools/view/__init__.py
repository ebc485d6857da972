# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user sees of results: figures, and tables and progress in the terminal. Nothing is computed here."""
