# SPDX-License-Identifier: GPL-2.0-or-later
"""Many runs that belong together: what is varied, what is reported of each run, and what it is compared with."""
