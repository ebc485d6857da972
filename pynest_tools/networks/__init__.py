# SPDX-License-Identifier: GPL-2.0-or-later
"""Backends: each turns a `Microcircuit` and its weights into something that presents samples."""
