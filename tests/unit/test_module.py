# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading the NEST module when something is missing or does not fit."""

import importlib.util
import sys
import types

import pytest

from pynest_tools.kernel import module, nest_probe


def test_no_nest(monkeypatch):
    monkeypatch.setitem(sys.modules, "nest", None)  # an import then fails
    with pytest.raises(module.ModuleError, match=r"NEST cannot be imported.*pip install nest-simulator==3\.10\.0"):
        module.install()


def test_another_version_of_nest(monkeypatch):
    monkeypatch.setitem(sys.modules, "nest", types.SimpleNamespace(__version__="3.8.0"))
    with pytest.raises(module.ModuleError, match=r"NEST 3\.10\.0 is needed, 3\.8\.0 is running"):
        module.install()


def test_library_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PYRAMIDAL_MODULE", str(tmp_path / "nothing.so"))
    with pytest.raises(module.ModuleError, match=r"is not built, looked for .*nothing\.so: run `pip install \.`"):
        module.library_path()


def test_chosen_library(monkeypatch, tmp_path):
    library = tmp_path / "pyramidalmodule.so"
    library.touch()
    monkeypatch.setenv("PYRAMIDAL_MODULE", str(library))
    assert module.library_path() == library


def test_probe_without_nest(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(nest_probe.NestNotFoundError, match=r"has no NEST: pip install nest-simulator==3\.10\.0"):
        nest_probe.probe()


def test_probe_of_a_nest_without_headers(monkeypatch, tmp_path):
    (tmp_path / "nest").mkdir()
    (tmp_path / "nest" / "nestkernel_api.so").touch()
    origin = types.SimpleNamespace(origin=str(tmp_path / "nest" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: origin)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(nest_probe.NestNotFoundError, match="NEST has no headers"):
        nest_probe.probe()


def test_probe_of_an_mpi_build(monkeypatch, tmp_path):
    """Headers beside the package, the strings of the new C++ ABI."""
    include = tmp_path / "include" / "nest"
    include.mkdir(parents=True)
    (include / "nest_extension_interface.h").touch()
    (include / "config.h").write_text('#define NEST_VERSION "3.10.0"\n#define HAVE_MPI 1\n')
    (tmp_path / "nest").mkdir()
    symbol = b"_ZN4nest13ModuleManager7installERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
    (tmp_path / "nest" / "nestkernel_api.so").write_bytes(b"\0" + symbol + b"\0")
    origin = types.SimpleNamespace(origin=str(tmp_path / "nest" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: origin)
    found = nest_probe.probe()
    assert (found.include_dir, found.version, found.cxx11_abi, found.has_mpi) == (include, "3.10.0", True, True)
