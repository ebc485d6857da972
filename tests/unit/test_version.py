# SPDX-License-Identifier: GPL-2.0-or-later
"""Which version this is: of a git checkout, of a wheel, and where nobody knows."""

import os
import shutil
import subprocess
import time

import pytest

import pynest_tools
from pynest_tools.kernel import version

NUMBER = pynest_tools.__version__


@pytest.fixture
def project(monkeypatch, tmp_path):
    """A folder that takes the place of the project's, without a commit from its build."""
    monkeypatch.setattr(version, "PROJECT", tmp_path)
    monkeypatch.setattr(version, "COMMIT_FILE", tmp_path / "commit.txt")
    return tmp_path


def git(folder, *arguments):
    identity = ("-c", "user.name=A. Name", "-c", "user.email=name@example.org")
    run = subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


@pytest.fixture
def checkout(project):
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    git(project, "init")
    (project / "file").write_text("one")
    git(project, "add", "file")
    git(project, "commit", "-m", "first")
    git(project, "tag", "v9")
    return project


def test_a_checkout_names_its_commit(checkout):
    commit = git(checkout, "rev-parse", "--short=7", "HEAD")
    assert version.built_from() == f"{NUMBER} ({commit})"
    (checkout / "file").write_text("two")
    assert version.built_from() == f"{NUMBER} ({commit}+changes)"


def test_a_git_hook_of_another_repository_does_not_mislead(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(checkout / "elsewhere"))
    assert version.built_from().startswith(f"{NUMBER} (")


def test_it_takes_no_time(checkout):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        version.built_from()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05  # s; git itself takes 3 ms


def test_without_git_or_commit_the_version_is_told(project, monkeypatch):
    assert version.built_from() == NUMBER
    (project / ".git").mkdir()  # git refuses it
    assert version.built_from() == NUMBER
    monkeypatch.setitem(os.environ, "PATH", str(project))  # without git
    assert version.built_from() == NUMBER


def test_a_wheel_names_the_commit_it_was_built_from(project):
    (project / "commit.txt").write_text("abc1234\n")
    assert version.built_from() == f"{NUMBER} (abc1234)"
