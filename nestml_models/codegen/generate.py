# SPDX-License-Identifier: GPL-2.0-or-later
"""Generate the C++ code of the module from the NESTML models.

Usage: python generate.py MODEL_DIR OUTPUT_DIR MODULE_NAME FILE...

FILE... are the files that must have come into being: pynestml reports an error in a model, but does not fail.
Building is left to CMake.
"""

import sys
from pathlib import Path

import pynestml
from pynestml.frontend import pynestml_frontend

NEST_VERSION = "v3.10.0"
TEMPLATES = Path(__file__).resolve().parent
STOCK_TEMPLATES = Path(pynestml.__file__).parent / "codegeneration" / "resources_nest" / "point_neuron"


def code_generator_options(synapses: list[str]) -> dict:
    """Options for pynestml: the templates of this folder around the stock ones, and the base class of the neurons."""
    # a stock entry in each list puts the stock folder on the search path; of files with one ending the last counts
    return {
        "nest_version": NEST_VERSION,
        "solver": "numeric",  # the models have no differential equations: their update blocks state the step
        "neuron_parent_class": "DendriticErrorArchivingNode",
        "neuron_parent_class_include": "dendritic_error_archiving_node.h",
        "weight_variable": dict.fromkeys(synapses, "w"),
        "templates": {
            "path": str(TEMPLATES),
            "model_templates": {
                "neuron": [
                    str(STOCK_TEMPLATES / "@NEURON_NAME@.h.jinja2"),
                    "@NEURON_NAME@.archiving.cpp.jinja2",
                    "@NEURON_NAME@.archiving.h.jinja2",
                ],
                "synapse": [
                    str(STOCK_TEMPLATES / "@SYNAPSE_NAME@.h.jinja2"),
                    "@SYNAPSE_NAME@.stepping.h.jinja2",
                ],
            },
            "module_templates": [
                str(STOCK_TEMPLATES / "setup" / "@MODULE_NAME@.h.jinja2"),
                "@MODULE_NAME@.registering.cpp.jinja2",
            ],
        },
    }


def main(model_dir: str, output_dir: str, module: str, *expected: str) -> None:
    """Generate the code of all models in model_dir into output_dir."""
    models = sorted(Path(model_dir).resolve().glob("*/*.nestml"))
    for name in expected:
        Path(name).unlink(missing_ok=True)
    pynestml_frontend.builder_from_target_name = lambda target_name, options=None: (None, options)
    failed = pynestml_frontend.generate_target(
        [str(model) for model in models],
        target_platform="NEST",
        target_path=str(Path(output_dir).resolve()),
        module_name=module,
        logging_level="ERROR",
        codegen_opts=code_generator_options([m.stem for m in models if m.parent.name == "synapses"]),
    )
    missing = [name for name in expected if not Path(name).exists()]
    if failed or missing:
        sys.exit(
            f"pynestml could not generate the models; see its messages above. Missing: {', '.join(missing) or 'none'}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
