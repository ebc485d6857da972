# SPDX-License-Identifier: GPL-2.0-or-later
"""NEST and the machine: the extension module, what it was built for, and MPI. Knows nothing of circuits."""
