"""Who may import whom: one list of all modules, each of which imports from those before it alone.

Imports inside functions and under ``TYPE_CHECKING`` count, so there are no import cycles.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import PACKAGE, ROOT, imported_modules, imports, modules

BACKENDS = ROOT / "backends"

#: The import order. A line's packages and modules are those of one level; `x.{a,b}` is x.a, x.b.
ORDER = """
errors names state version files optional tensors
spec.{arguments,geometry,padding,conv,conv_transpose,norm,pool,unfold} spec
operations contract bounds gradcheck
plugin_check registry
selection selection.{outcome,request,scope,resolve,transfer,overview}
calls calls.{params,arrays,plan,results,cache,norms,composing,conv_bn,fallback,padding,methods}
calls.{stored_case,expectations,expected_norms,verifier,windows}
calls.{tracing,planner,pickling,dispatch}
functions functions.{calling,conv,pools,fused,bn_param,norms,conv_bn,windows} api replay
layers.{arrays,mode,activations,losses,dropout,normalisation,affine,convolution} layers
images preprocessing pytest_plugin
models.{common,affine} models.modules.{layer,operation,weighted,norms,activations,pools}
models.modules.{flatten,dropout,residual} models.modules
models.{placing,steps,fusion,folding,summary,archive,prediction,sequential}
models.{three_layer,deep,fully_connected,resnet,mobilenet,autoencoder,loading}
models.{onnx_layers,exporting} models
training.{protocol,arrays,checks,history,optim,checkpoint,snapshot,evaluation}
training.{schedules,augment,sampling,targets,callbacks,optimiser,run,solver,sweeps}
training.data.{rows,dataset,npz,listing,reading,stored,folders,digits}
training.data.{download,pickles,cifar10_files,cifar10,load} training.data
training.presets training.{fitting,estimator} training
report report.{theme,rendering,grid,curves,plots,folders,record,evaluation,page,evaluated}
report.{comparison,sweeps}
conformance.{cases,reference,fast_reference,arrays,covering,space,entry}
conformance.operations.{conv_problems,conv_space,conv,pool_problems,pool_space,pools,max_pool}
conformance.operations.{avg_pool,conv_relu,fused_space,conv_relu_pool,conv_transpose}
conformance.operations.{norm_reference,norm_space,norms,batch_norm,group_norm}
conformance.operations.{conv_bn_reference,conv_bn_space,conv_bn_relu}
conformance.operations
conformance.{entries,catalogue,data,planes,recorder,subject,checks}
conformance.{value_checks,argument_checks,contract_checks,gradients,guard,large,problems}
conformance.{statistics,endurance,surroundings,report,coverage,laws,properties,state,costs,execute,board}
conformance.{helper,sequences,child,pool,worker,search,runner}
conformance
conformance.test_backend
bench bench.{problems,network,memory,subjects,machine,timing,tables,check,comparison,scaling}
bench.{training_step,sections,sides,apart,networks,torch_networks,worker,network_runs}
bench.network_tables
bench.{plots,page,runner,others}
report.{heat_map,conformance_page}
diagnosis diagnosis.{probe,findings} templates templates.package
commands exit_status commands.{_tables,_types,_folder,_options,_networks,_build,_progress,_model}
commands.{_signals,_keep,_resume}
commands.{backends,bench,compare,conformance,doctor,explain,new_backend,report,sweep,train}
commands.{predict,evaluate,export,summary}
cli
"""

#: Modules under their former names, which warn; they stand outside the order, as `convkit` itself
#: and `python -m convkit` do, and nothing imports them.
DEPRECATED = ("watch", "handover", "verify")
OUTSIDE = {PACKAGE, f"{PACKAGE}.__main__", *(f"{PACKAGE}.{name}" for name in DEPRECATED)}


#: What a module must not import although it is before it, and the exceptions to that.
WITHOUT = {
    "api": (("calls",), ("calls.dispatch", "calls.params")),
    "layers": (("registry", "selection", "calls"), ()),
    "models": (("registry", "calls"), ()),
    "training": (("api", "registry", "selection", "calls"), ()),
    "report": (("api", "registry", "selection", "calls", "models"), ()),
    "conformance": (("calls", "models", "training", "report"), ()),
    "bench": (("calls",), ()),
}

FOR_BACKENDS = {f"{PACKAGE}.{name}" for name in ("contract", "spec", "errors")}


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of the packages, or in one."""
    return any(f"{name}.".startswith(f"{PACKAGE}.{package}.") for package in packages)


def expand(text: str) -> list[str]:
    """Return the names of an order, whole."""
    found = []
    for word in text.split():
        prefix, brace, names = word.partition("{")
        found += [prefix + name for name in names.rstrip("}").split(",")] if brace else [word]
    return [f"{PACKAGE}.{name}" for name in found]


RANK = {name: rank for rank, name in enumerate(expand(ORDER))}
LAST = len(RANK)


def place(name: str, line: int) -> str:
    """Return where an import is, for messages."""
    return f"{modules()[name].relative_to(ROOT)}:{line}"


EACH = pytest.mark.parametrize("name", sorted(set(modules()) - OUTSIDE))
EACH_OF_ALL = pytest.mark.parametrize("name", sorted(modules()))


def test_every_module_has_one_place_in_the_order() -> None:
    names = expand(ORDER)
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert sorted(set(modules()) - OUTSIDE - set(names)) == [], "modules that are not in ORDER"
    assert sorted(set(names) - set(modules())) == [], "in ORDER, but there is no such module"


@EACH
def test_it_imports_only_from_modules_before_it(name: str) -> None:
    wrong = [
        f"{place(name, line)} imports {other}, which is not before {name} in ORDER"
        for other, line in imported_modules(name).items()
        if other not in OUTSIDE and not RANK.get(other, LAST) < RANK.get(name, LAST)
    ]
    assert not wrong, "\n".join(wrong)


@EACH
def test_only_the_command_line_imports_public_names(name: str) -> None:
    """`from convkit import X` in a module below would be a cycle, and hide where X comes from."""
    allowed = {PACKAGE} if within(name, ("commands", "cli")) else set()
    wrong = [
        f"{place(name, line)} imports from {other}"
        for other, line in imported_modules(name).items()
        if other in OUTSIDE - allowed
    ]
    assert not wrong, "\n".join(wrong)


@EACH
def test_it_imports_nothing_that_its_package_does_without(name: str) -> None:
    wrong = [
        f"{place(name, line)} imports {other}: {package} does without"
        for package, (unwanted, exceptions) in WITHOUT.items()
        if within(name, (package,))
        for other, line in imported_modules(name).items()
        if within(other, unwanted) and not within(other, exceptions)
    ]
    assert not wrong, "\n".join(wrong)


@EACH_OF_ALL
def test_no_module_imports_a_backend(name: str) -> None:
    for module, _, line in imports(modules()[name]):
        top = module.split(".")[0]
        assert not top.startswith("convkit_"), f"{place(name, line)} imports {module}"
        assert top != "backends", f"{place(name, line)} imports {module}"


@EACH_OF_ALL
def test_only_the_command_line_imports_click(name: str) -> None:
    for module, _, line in imports(modules()[name]):
        if module.split(".")[0] == "click":
            assert within(name, ("commands", "cli")), f"{place(name, line)} imports click"


@pytest.mark.parametrize(
    "path", sorted(BACKENDS.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_backend_imports_contract_spec_and_errors_only(path: Path) -> None:
    own = f"convkit_{path.relative_to(BACKENDS).parts[0]}"
    for module, _, line in imports(path):
        top = module.split(".")[0]
        assert not top.startswith("convkit_") or top == own, f"{path}:{line} imports {module}"
        assert top != PACKAGE or module in FOR_BACKENDS, f"{path}:{line} imports {module}"


def test_backends_is_no_package() -> None:
    assert not (BACKENDS / "__init__.py").exists()
    assert len(list(BACKENDS.glob("*/__init__.py"))) >= 3


def test_importing_convkit_loads_nothing_heavy() -> None:
    code = "import sys, convkit; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not {name for name in loaded if name.startswith("convkit_")}
    assert not loaded & {"matplotlib", "sklearn", "scipy", "click", "pluggy", "jinja2", "tqdm"}


def test_imports_of_every_form_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "convkit" / "calls"
    folder.mkdir(parents=True)
    (folder / "example.py").write_text(
        "import a.b\nfrom convkit.calls import plan, cache\nfrom . import arrays\n"
        "from ..spec import conv\nfrom .. import api\n"
        "if TYPE_CHECKING:\n    import c\ndef f():\n    from d import e as f\n"
    )
    assert list(imports(folder / "example.py", tmp_path)) == [
        ("a.b", "", 1),
        ("convkit.calls", "plan", 2),
        ("convkit.calls", "cache", 2),
        ("convkit.calls", "arrays", 3),
        ("convkit.spec", "conv", 4),
        ("convkit", "api", 5),
        ("c", "", 7),
        ("d", "e", 9),
    ]


def test_a_submodule_is_told_from_a_name() -> None:
    found = imported_modules("convkit.calls.planner")
    assert {"convkit.calls.tracing", "convkit.calls.verifier", "convkit.state"} <= set(found)
    assert "convkit.calls" not in found
    assert "convkit.contract" in found  # under TYPE_CHECKING
