# SPDX-License-Identifier: GPL-2.0-or-later
"""Write what nest.help() shows of every model, from the text that stands above it in its source.

Usage: python help_texts.py PROJECT_DIR OUTPUT_DIR

A NESTML model begins with its text, and comments its parameters; a C++ header has one between BeginUserDocs and EndUserDocs. That of
population.h is the text of every population, X_population of a neuron X_neuron that spikes.
"""

import re
import sys
from pathlib import Path

TRIALS = "And those of trials, stimuli, learning windows and read-out, which all cells have: docs/trials.md of nest-pyramidal."

#: Models in C++ by the header that describes them.
HEADERS = {
    "dendritic_error_synapse.h": ("dendritic_error_synapse", "dendritic_error_psp_synapse"),
    "dendritic_error_rate_synapse.h": ("dendritic_error_rate_synapse",),
}


def section(title: str, underline: str) -> str:
    """A heading in reStructuredText."""
    return f"{title}\n{underline * len(title)}\n"


def text_of_nestml(source: str, *, is_neuron: bool) -> str:
    """The comment above a model, and its parameters with default and meaning."""
    above, model = re.split(r"^model ", source, maxsplit=1, flags=re.MULTILINE)
    lines = [line.removeprefix("#").removeprefix(" ") for line in above.splitlines() if "SPDX" not in line]
    block = re.search(r"^    parameters:\n(.*?)\n\n", model, re.MULTILINE | re.DOTALL)
    if block is None:
        raise ValueError(f"no parameters in {model.split(':')[0]}")
    rows = re.findall(r"^ +(\w+) \S+ = (.*?) *(?:\[\[.*\]\] *)?# (.*)$", block[1], re.MULTILINE)
    if len(rows) != len(block[1].splitlines()):
        raise ValueError(f"a parameter of {model.split(':')[0]} has no comment")
    name_width, default_width = (max(len(row[i]) for row in rows) for i in (0, 1))
    table = "\n".join(f"    {name:{name_width}}  {default:{default_width}}  {what}" for name, default, what in rows)
    trials = f"\n{TRIALS}\n" if is_neuron else ""
    return "\n".join(lines).strip() + f"\n\n{section('Parameters', '+')}\n::\n\n{table}\n{trials}"


def text_of_header(source: str, name: str) -> str:
    """What stands between BeginUserDocs and EndUserDocs."""
    block = re.search(r"/\* BeginUserDocs:[^\n]*\n(.*?)EndUserDocs \*/", source, re.DOTALL)
    if block is None:
        raise ValueError(f"no BeginUserDocs for {name}")
    return f"{section(name, '#')}\n{block[1].strip()}\n"


def main(project: str, output: str) -> None:
    """Write one file a model."""
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    populations = []
    for path in Path(project, "nestml_models").glob("*/*.nestml"):
        source = path.read_text(encoding="utf-8")
        if re.search(r"^        n_spikes integer = ", source, re.MULTILINE):
            populations.append(f"{path.stem.removesuffix('_neuron')}_population")
        text = text_of_nestml(source, is_neuron=path.parent.name == "neurons")
        (folder / f"{path.stem}.rst").write_text(text, encoding="utf-8")
    for header, names in (HEADERS | {"population.h": populations}).items():
        source = Path(project, "cpp", header).read_text(encoding="utf-8")
        for name in names:
            (folder / f"{name}.rst").write_text(text_of_header(source, name), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
