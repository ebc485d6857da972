# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs: what is trained on what, how it goes on, and what is kept of it."""
