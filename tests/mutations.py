# SPDX-License-Identifier: GPL-2.0-or-later
"""Plant the faults of faults.toml one after the other, and see that the tests notice each of them.

Usage: python tests/mutations.py [TEXT...]

With TEXT, only faults whose file or reason contains one. The sources are copied to a folder of their own, and built there again for
every fault in C++ or NESTML. Python needs NEST, nestml and what the tests need; cmake is the one on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tomlkit

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("cpp", "nestml_models", "pynest_tools", "tests", "docs", "experiments", "CMakeLists.txt", "pyproject.toml")
BUILT = ("cpp", "nestml_models")
TESTS_FAILED, TEST_WAS_KILLED = 1, -1
LONGEST = 900.0  # s; the slowest of the tests named takes two minutes, a fault may make it hang


@dataclass(frozen=True)
class Fault:
    """A fault to plant, and the tests that notice it, or that pass, and why."""

    file: str
    old: str
    new: str
    why: str
    tests: str
    equivalent: str = ""

    @property
    def is_built(self) -> bool:
        """Whether the module has to be built anew."""
        return self.file.startswith(BUILT)

    def planted(self, root: Path) -> str:
        """The file with the fault in it; raises ValueError if its place is not found exactly once."""
        text = (root / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.file} has {text.count(self.old)} times what stands once: {self.old!r} ({self.why})"
            )
        return text.replace(self.old, self.new)


def read_faults() -> list[Fault]:
    """All faults, in the order of the file."""
    content = tomlkit.parse((ROOT / "tests" / "faults.toml").read_text(encoding="utf-8")).unwrap()
    return [Fault(**entry) for entry in content["fault"]]


class Copy:
    """A copy of the sources with its own build.

    Parameters
    ----------
    folder : Path
        Where.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.png", "data.bin")
                )
            else:
                shutil.copy(source, folder / name)
        self._run(
            ["cmake", "-S", ".", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Quick"]
        )
        self.build()

    def build(self) -> None:
        """Build what has changed; ends the program if it cannot be compiled."""
        self._run(["cmake", "--build", "build"])

    def try_fault(self, fault: Fault) -> int:
        """Status of the tests with the fault in place."""
        place = self._folder / fault.file
        original = place.read_text(encoding="utf-8")
        try:
            place.write_text(fault.planted(self._folder), encoding="utf-8")
            if fault.is_built:
                self.build()
            return self.test(fault.tests)
        finally:
            place.write_text(original, encoding="utf-8")

    def test(self, arguments: str) -> int:
        """Status of pytest, negative if it was killed by a signal or did not end."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not slow",
            *arguments.split(),
        ]
        environment = os.environ | {"PYRAMIDAL_MODULE": str(self._folder / "build" / "pyramidalmodule.so")}
        try:
            done = subprocess.run(
                command, cwd=self._folder, env=environment, capture_output=True, timeout=LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            return TEST_WAS_KILLED
        return done.returncode

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def verdict(fault: Fault, status: int) -> str:
    """What became of a fault: noticed, equivalent, or what is wrong with table or tests."""
    if status == TESTS_FAILED or status < 0:
        return "WRONGLY CALLED EQUIVALENT" if fault.equivalent else "noticed"
    if status == 0:
        return "equivalent" if fault.equivalent else "SURVIVED"
    return f"NO TESTS (pytest ended with {status})"


def main(chosen: list[str]) -> int:
    """Plant the faults; 0 if all is as it should be."""
    every = read_faults()
    for fault in every:
        fault.planted(ROOT)  # before any work
    faults = [f for f in every if not chosen or any(text in f.file or text in f.why for text in chosen)]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        arguments = " ".join(dict.fromkeys(name for fault in faults for name in fault.tests.split()))
        if copy.test(arguments) != 0:
            raise SystemExit("tests fail already without any fault")
        for fault in faults:
            began = time.perf_counter()
            found = verdict(fault, copy.try_fault(fault))
            bad += found.isupper() or found.startswith("NO TESTS")
            print(f"{found:12} {time.perf_counter() - began:4.0f} s  {fault.file}: {fault.why}", flush=True)
    print(f"{len(faults) - bad} of {len(faults)} faults as they should be")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
