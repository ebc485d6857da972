# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels for tests that compare several runs; the fixture `nest` gives the first one."""

from pynest_tools.kernel.module import install


def fresh_kernel(nest, *, resolution=0.1, threads=1, seed=1):
    """Forget everything; resolution in ms."""
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = resolution
    nest.local_num_threads = threads
    nest.rng_seed = seed
    install()
