# SPDX-License-Identifier: GPL-2.0-or-later
"""What a NEST extension module has to know about the NEST that an interpreter finds.

NEST's own answers, ``nest-config`` and ``nest.build_info``, name the machine on which a wheel was built. So the
installed files are looked at, without importing NEST. CMake runs this file as a script; it therefore uses nothing
but the standard library.
"""

from __future__ import annotations

import importlib.util
import mmap
import re
import sys
from dataclasses import dataclass
from pathlib import Path

#: Mangled name of ``nest::ModuleManager::install(const std::string&)`` with the string of the old C++ ABI.
_OLD_ABI_SYMBOL = b"_ZN4nest13ModuleManager7installERKSs"


class NestNotFoundError(RuntimeError):
    """There is no NEST, or none that a module can be built against."""


@dataclass(frozen=True)
class NestInstallation:
    """An installed NEST: its headers, library, version, and how it was compiled."""

    include_dir: Path
    library: Path
    version: str
    cxx11_abi: bool
    has_mpi: bool


def probe() -> NestInstallation:
    """Find the NEST of this interpreter.

    Raises
    ------
    NestNotFoundError
        If there is no NEST, or its headers or library are missing.
    """
    spec = importlib.util.find_spec("nest")
    if spec is None or spec.origin is None:
        raise NestNotFoundError(f"{sys.executable} has no NEST: pip install nest-simulator==3.10.0")
    package = Path(spec.origin).parent
    libraries = sorted(package.glob("nestkernel_api*.so"))
    if not libraries:
        raise NestNotFoundError(f"no NEST library in {package}: reinstall nest-simulator")
    candidates = (
        package / "include" / "nest",
        package.parent / "include" / "nest",
        Path(sys.prefix) / "include" / "nest",
    )
    include_dir = next((c for c in candidates if (c / "nest_extension_interface.h").exists()), None)
    if include_dir is None:
        places = ", ".join(map(str, candidates))
        raise NestNotFoundError(f"NEST has no headers, looked in {places}: reinstall nest-simulator")
    config = (include_dir / "config.h").read_text()
    version = re.search(r'^#define NEST_VERSION "([^"]+)"', config, re.MULTILINE)
    return NestInstallation(
        include_dir=include_dir,
        library=libraries[0],
        version=version[1] if version else "unknown",
        cxx11_abi=not _contains(libraries[0], _OLD_ABI_SYMBOL),
        has_mpi=re.search(r"^#define HAVE_MPI\b", config, re.MULTILINE) is not None,
    )


def _contains(path: Path, text: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0


if __name__ == "__main__":
    try:
        found = probe()
    except NestNotFoundError as error:
        sys.exit(str(error))
    print(found.include_dir, found.version, int(found.cxx11_abi), int(found.has_mpi), sep=";", end="")
