# SPDX-License-Identifier: GPL-2.0-or-later
"""nest.help() shows the text of every model, and what it showed before of all others."""

import pydoc
import types

from pynest_tools.kernel.module import install


def ours(nest):
    """Models that the module brings along."""
    nest.ResetKernel()
    before = {*nest.node_models, *nest.synapse_models}
    install()
    return sorted({*nest.node_models, *nest.synapse_models} - before)


def test_every_model_has_a_text(nest):
    models = ours(nest)
    assert {"pyramidal_neuron", "stimulus_population", "dendritic_error_psp_synapse"} <= set(models)
    for model in models:
        text = nest.help(model, return_text=True)
        assert model.removesuffix("_lbl") in text.splitlines()[0], model
        assert "Description\n+++++++++++\n" in text, model
        assert "Parameters\n++++++++++\n" in text, model
        assert "SPDX" not in text


def test_the_text_of_a_neuron_names_its_parameters(nest):
    """Those of the model itself; the defaults are those of NEST."""
    text = nest.help("pyramidal_neuron", return_text=True)
    rows = {
        words[0]: words[1]
        for words in map(str.split, text.partition("::\n\n    C_m")[2].splitlines())
        if len(words) > 2
    }
    defaults = nest.GetDefaults("pyramidal_neuron")
    assert float(rows["g_L"]) == defaults["g_L"]
    assert float(rows["psi"]) == defaults["psi"]
    assert rows["latent_equilibrium"] == "true"
    assert defaults["latent_equilibrium"]
    assert "``basal`` (2)" in text


def test_in_the_pager_and_after_a_reset_of_the_kernel(nest, monkeypatch):
    shown = []
    monkeypatch.setattr(pydoc, "pager", shown.append)
    nest.help("dendritic_error_synapse")
    nest.ResetKernel()
    nest.help("dendritic_error_synapse")
    install()
    nest.help("dendritic_error_synapse")
    assert len(shown) == 3
    assert len(set(shown)) == 1
    assert "Synapse that learns from the dendritic error of its target" in shown[0]


def test_other_models_are_left_to_nest(nest, monkeypatch, tmp_path, capsys):
    from nest.lib import hl_api_helper

    nest.help("no_such_model")
    assert "Sorry, there is no help for model 'no_such_model'" in capsys.readouterr().out
    texts = tmp_path / "html" / "models"
    texts.mkdir(parents=True)
    (texts / "iaf_psc_alpha.rst").write_text("NEST's own text")
    status = {"build_info": {"docdir": str(tmp_path)}}
    monkeypatch.setattr(hl_api_helper, "nestkernel", types.SimpleNamespace(llapi_get_kernel_status=lambda: status))
    assert nest.help("iaf_psc_alpha", return_text=True) == "NEST's own text"


def test_without_texts_beside_the_module_there_is_no_help(nest, monkeypatch, tmp_path, capsys):
    library = tmp_path / "pyramidalmodule.so"
    library.touch()
    monkeypatch.setenv("PYRAMIDAL_MODULE", str(library))
    nest.help("pyramidal_neuron")
    assert "Sorry, there is no help" in capsys.readouterr().out
    library.unlink()
    nest.help("pyramidal_neuron")
    assert "Sorry, there is no help" in capsys.readouterr().out
