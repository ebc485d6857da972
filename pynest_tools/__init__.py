# SPDX-License-Identifier: GPL-2.0-or-later
"""Dendritic cortical microcircuits that learn with spikes, in stock NEST."""

__version__ = "0.1.0"
