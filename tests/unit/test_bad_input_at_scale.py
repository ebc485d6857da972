# SPDX-License-Identifier: GPL-2.0-or-later
"""Random and damaged input: everything works or ends in a sentence, and what was whole is not lost."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import types
import warnings
import zipfile
from typing import get_args

import numpy as np
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pynest_tools.errors import Remark, UserError
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.weights import initial_weights
from pynest_tools.runs.api import open_run
from pynest_tools.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train
from pynest_tools.settings import parse_entry
from pynest_tools.tasks import BUILT_IN, find_task
from pynest_tools.tasks.files import read_file
from pynest_tools.view.figures import training_figure
from pynest_tools.view.terminal import result_table

#: Of each kind: in the fast tests, and in a night, when there are 100 000 together.
SCALES = [pytest.param(0.004, id="few"), pytest.param(1.0, id="many", marks=pytest.mark.nightly)]
SPECIFICATIONS, FILES, CHECKPOINTS, RECORDS = 30_000, 40_000, 15_000, 15_000

LITERALS = [
    "0", "1", "-1", "2", "3", "50", "1e308", "-1e308", "5e-324", "1e-300", "inf", "-inf", "nan", "-0.0", "0.1", "0.05",
    "0.30000000000000004", "1e12", "1e11", "9223372036854775808", "1" + "0" * 400, "1" * 5000, "1_000", "+1", "01", "0x1f",
    "true", "false", '""', '"match"', '"g_nudge"', '"ode"', '"steady"', '"cosine"', '"reset"', '"ä\\u0000"', '["ip", "pi"]',
    "[]", "[1, 2]", "[1.0]", "[-1.0, 2.0]", "[9, 30, 3]", "[9, 1000000000000, 3]", "[[1]]", "[" * 2000 + "]" * 2000,
    "{}", "{a = 1}", "1979-05-27", "07:32:00", "'''\n'''", "=", "[", "\\", "\u2028",
]  # fmt: skip
TASKS = [name for name in BUILT_IN if name not in ("data", "mnist", "fashion_mnist", "mnist1d")]  # which read files


def works(call, *arguments):
    """What a call returns, or None if it says in a sentence what is wrong; nothing else may happen."""
    try:
        return call(*arguments)
    except UserError as error:
        said = str(error)
        assert said.strip()
        assert "Traceback" not in said
        return None


def damaged(rng, content):
    """The same bytes, a few of them changed, taken out or put in, or the end cut off."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, size = int(rng.integers(len(found) + 1)), int(rng.integers(1, 9))
        match rng.integers(5):
            case 0 if place < len(found):
                found[place] ^= 1 << int(rng.integers(8))
            case 1:
                found[place : place + size] = rng.bytes(len(found[place : place + size]))
            case 2:
                del found[place : place + size]
            case 3:
                found[place:place] = rng.bytes(size)
            case 4:
                del found[place:]
    return bytes(found)


# ---- specifications ------------------------------------------------------------------------------------------------------


def leaves(model, prefix=""):
    """Dotted keys of all entries of a specification."""
    for name, field in model.model_fields.items():
        inside = [part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)]
        below = [part for part in inside if not isinstance(part, types.GenericAlias) and issubclass(part, BaseModel)]
        if below:
            yield from leaves(below[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.default


KEYS = dict(leaves(RunSpecification)) | {"network.hidden": [30], "unknown": 0, "network.neuron.unknown": 0}


def literal(rng, default):
    """A value as TOML: often one of the kind that is wanted."""
    if rng.random() < 0.5 and default is not PydanticUndefined and not isinstance(default, BaseModel):
        if isinstance(default, float):
            return repr(float(default * 10.0 ** rng.integers(-3, 4)))
        return json.dumps(list(default) if isinstance(default, tuple) else default)
    return LITERALS[rng.integers(len(LITERALS))]


def document(rng):
    """A TOML document with some entries of a run."""
    task = TASKS[rng.integers(len(TASKS))]
    made = find_task(task)
    keys = KEYS | {f"task.{name}": field.default for name, field in made.model_fields.items()}
    names = list(keys)
    lines = [f'task.name = "{task}"']
    for i in rng.choice(len(names), size=rng.integers(0, 5), replace=False):
        lines.append(f"{names[i]} = {literal(rng, keys[names[i]])}")
    text = "\n".join(lines) + "\n"
    content = text.encode()
    match rng.integers(12):
        case 0:
            return damaged(rng, content)
        case 1:
            return text.encode("utf-16")
        case 2:
            return text.encode("utf-8-sig")
        case _:
            return content


def is_quick(spec):
    """Whether an epoch takes some milliseconds."""
    trial, h = spec.network.trial, spec.network.simulation.h
    steps = max(trial.t_pres + trial.t_relax, trial.t_pres_test) / h if spec.backend == "ode" else 0
    return spec.backend in ("ode", "steady", "backprop") and sum(spec.network.sizes) < 100 and steps < 100


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
def test_specifications(scale, tmp_path):
    rng, path = np.random.default_rng(1), tmp_path / "run.toml"
    accepted = trained = 0
    for _ in range(int(scale * SPECIFICATIONS)):
        path.write_bytes(content := document(rng))
        try:
            spec = works(RunSpecification.from_toml, path)
            for line in content.decode(errors="replace").splitlines()[1:]:
                works(parse_entry, line)
            if spec is None:
                continue
            accepted += 1
            path.write_text(spec.to_toml(), encoding="utf-8")
            assert RunSpecification.from_toml(path) == spec
            assert all(np.isfinite([*spec.network.eta_up, *spec.network.eta_ip, *spec.network.eta_pi]))
            if is_quick(spec) and accepted % 20 == 0:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    short = spec.changed({"training": {"epochs": min(1, spec.training.epochs)}})
                    works(train, short)
                trained += 1
        except Exception as error:
            raise AssertionError(content) from error
    assert accepted > 0.2 * scale * SPECIFICATIONS  # most values do not matter to each other
    assert trained > 0 or scale < 1.0


# ---- data ------------------------------------------------------------------------------------------------------------------

X, Y = np.arange(24.0).reshape(8, 3), np.array(["u", "v"] * 4)


def archive_of(arrays, *, compressed=False):
    """An .npz file of what the members hold, bytes as they are, with checksums that fit."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def array_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


TABLE = "a,b,c,y\n" + "".join(f"{a},{b},{c},{label}\n" for (a, b, c), label in zip(X, Y))
MEMBERS = {"x": array_bytes(X), "y": array_bytes(Y)}
IMAGES = idx(np.arange(96).reshape(6, 4, 4))


def data_file(rng):
    """Name and content of a damaged file."""
    name, content = KINDS[rng.integers(len(KINDS))]
    return name, content(rng)


#: Damaged outside, and inside of what is compressed or has checksums.
KINDS = [
    ("table.csv", lambda rng: damaged(rng, TABLE.encode())),
    ("arrays.npz", lambda rng: damaged(rng, archive_of(MEMBERS))),
    ("arrays.npz", lambda rng: damaged(rng, archive_of(MEMBERS, compressed=True))),
    ("arrays.npz", lambda rng: archive_of({name: damaged(rng, content) for name, content in MEMBERS.items()})),
    ("a-idx3-ubyte", lambda rng: damaged(rng, IMAGES)),
    ("a-idx3-ubyte.gz", lambda rng: damaged(rng, gzip.compress(IMAGES, 1))),
    ("a-idx3-ubyte.gz", lambda rng: gzip.compress(damaged(rng, IMAGES), 1)),
]


@pytest.mark.parametrize("scale", SCALES)
def test_data_files(scale, tmp_path):
    rng = np.random.default_rng(2)
    for name, content in (("table.csv", TABLE.encode()), ("arrays.npz", archive_of(MEMBERS)), ("a-idx3-ubyte", IMAGES)):
        (tmp_path / name).write_bytes(content)
        assert read_file(str(tmp_path / name)).x is not None
        (tmp_path / name).unlink()
    for _ in range(int(scale * FILES)):
        name, content = data_file(rng)
        path = tmp_path / name
        path.write_bytes(content)
        try:
            found = works(read_file, str(path))
            assert found is None or found.x is None or np.all(np.isfinite(found.x))
        except Exception as error:
            raise AssertionError(name, content) from error
        finally:
            path.unlink()


def npy_header(shape, kind="<f8"):
    text = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    text = text.ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def huge_member():
    """An archive whose directory claims a terabyte of zeros for a member of some bytes."""
    content = bytearray(archive_of({"x": npy_header((10**12,)), "y": MEMBERS["y"]}))
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")  # size of what is compressed, in the directory
    return bytes(content)


BOMBS = {
    "rows that are not there": ("a.npz", lambda: archive_of({"x": npy_header((10**12, 3)), "y": MEMBERS["y"]})),
    "rows of nothing": ("a.npz", lambda: archive_of({"x": npy_header((10**12,), "|S0"), "y": MEMBERS["y"]})),
    "negative rows": ("a.npz", lambda: archive_of({"x": npy_header((-4, -6)) + bytes(192), "y": MEMBERS["y"]})),
    "a directory that lies": ("a.npz", huge_member),
    "many zeros, compressed": (
        "a.npz", lambda: archive_of({"x": npy_header((2**23,)) + bytes(2**26), "y": MEMBERS["y"]}, compressed=True),
    ),
    "images that are not there": ("a-idx3-ubyte", lambda: bytes([0, 0, 8, 3]) + b"\x00\x10\x00\x00" * 3),
    "doubles that are not there": ("a-idx3-ubyte", lambda: bytes([0, 0, 14, 3]) + b"\x00\x00\x03\xff" * 3 + bytes(100)),
    "compressed images that are not there": ("a-idx3-ubyte.gz", lambda: gzip.compress(bytes([0, 0, 8, 3]) + b"\x00\x00\x03\xff" * 3)),
    "255 dimensions": ("a-idx3-ubyte", lambda: bytes([0, 0, 8, 255]) + b"\x00\x00\x00\x01" * 255 + b"\x07"),
    "one line": ("a.csv", lambda: b"a,b,y\n" + b"1," * 2**25),
    "one quoted record": ("a.csv", lambda: b"a,b,y\n" + b'"\n",' * 2**23),
    "a header of many columns": ("a.csv", lambda: b",".join(b"c%d" % i for i in range(10**5)) + b"\n1\n"),
}  # fmt: skip
LARGEST = 2**26  # bytes: what the smallest of them claims


@pytest.mark.parametrize("name", BOMBS)
def test_no_memory_is_allocated_for_what_a_file_only_claims(name, tmp_path, monkeypatch):
    file, content = BOMBS[name]
    path = tmp_path / file
    path.write_bytes(content())
    monkeypatch.setattr("pynest_tools.memory.available_memory", lambda: 1e8)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=file):
            read_file(str(path))
        assert tracemalloc.get_traced_memory()[1] < LARGEST
    finally:
        tracemalloc.stop()


# ---- runs ------------------------------------------------------------------------------------------------------------------

CIRCUIT = Microcircuit(sizes=(3, 4, 2), plasticity={"eta_up": 0.01})


def checkpoint_of(epoch):
    rng = np.random.default_rng(epoch)
    weights = initial_weights(CIRCUIT, rng)
    state = {"epoch": epoch, "position": 0, "samples": 24 * epoch, "order": dict(rng.bit_generator.state)}
    return Checkpoint(weights, state, 1.5)


def assert_same(found, kept):
    assert found.state == kept.state
    for (name, got), (_, wanted) in zip(found.weights.named(), kept.weights.named()):
        np.testing.assert_array_equal(got, wanted, err_msg=name)


@pytest.mark.parametrize("scale", SCALES)
def test_checkpoints(scale, tmp_path):
    """One whose checksums fit its bytes is what was kept; if a damaged one has another before it, that counts, with a remark."""
    rng = np.random.default_rng(3)
    save_checkpoint(tmp_path / "before", checkpoint_of(1))
    (former,) = (tmp_path / "before").iterdir()
    save_checkpoint(tmp_path, checkpoint_of(2))
    path = tmp_path / "epoch-00000002-00000000" / "rank-0.npz"
    whole = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    former.rename(tmp_path / former.name)
    for i in range(int(scale * CHECKPOINTS)):
        outside = i % 2 == 0
        if outside:
            content = damaged(rng, whole)
        else:
            name = list(members)[rng.integers(len(members))]
            content = archive_of(members | {name: damaged(rng, members[name])})
        path.write_bytes(content)
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = load_checkpoint(tmp_path, CIRCUIT)
            remarks = [str(each.message) for each in told if issubclass(each.category, Remark)]
            if remarks:
                assert str(path.parent) in remarks[0]
                assert_same(found, checkpoint_of(1))
            elif outside:
                assert_same(found, checkpoint_of(2))
            assert np.all(np.isfinite(found.weights.up[0]))
        except Exception as error:
            raise AssertionError(content) from error


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run of own data, which has all files that a run can have."""
    place = tmp_path_factory.mktemp("run")
    (place / "table.csv").write_text(TABLE + TABLE.split("\n", 1)[1] * 3)
    entries = {
        "backend": "backprop",
        "task": {"data": str(place / "table.csv")},
        "training": {"epochs": 4, "test_interval": 1},
    }
    spec = RunSpecification.for_task("data", entries)
    folder = RunFolder.create(place / "run", spec)
    train(spec, folder)
    return folder


@pytest.mark.parametrize("scale", SCALES)
def test_records(scale, run):
    """Damage in the last line loses that line only; elsewhere it is said, unless the line still is one."""
    rng = np.random.default_rng(4)
    whole = run.metrics.read_bytes()
    records = run.read_metrics()
    last = whole[:-1].rindex(b"\n") + 1
    try:
        for i in range(int(scale * RECORDS)):
            content = whole[:last] + damaged(rng, whole[last:]) if i % 2 else damaged(rng, whole)
            run.metrics.write_bytes(content)
            try:
                found = works(run.read_metrics)
                if i % 2 and b"\n" not in content[last:-1]:
                    assert found[:4] == records[:4]
                if found and i % 50 == 0:
                    works(lambda: result_table(open_run(run.path).result))
                    training_figure(found, {})
            except Exception as error:
                raise AssertionError(content) from error
    finally:
        run.metrics.write_bytes(whole)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["summary.json", "preprocessing.npz", "data.json", "config.toml"])
def test_other_files_of_a_run(scale, name, run):
    rng, path = np.random.default_rng(5), run.path / name
    whole = path.read_bytes()

    def look():
        found = open_run(run.path)
        result_table(found.result)
        run.refuse_other_data(found.specification.task)

    try:
        for _ in range(int(scale * 1000)):
            path.write_bytes(content := damaged(rng, whole))
            try:
                works(look)
            except Exception as error:
                raise AssertionError(content) from error
    finally:
        path.write_bytes(whole)


def test_a_checksum_is_what_tells_damage(tmp_path):
    """The tests above rest on it: no byte of an array can change unseen."""
    path = tmp_path / "a.npz"
    content = bytearray(archive_of(MEMBERS))
    content[content.index(X.tobytes()[8:24])] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="CRC"):
        read_file(str(path))
