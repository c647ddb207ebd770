"""Weights in fewer bits on the transformers engines: which layers, how many bytes, the same as from files, refusals."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from building import TEXTS, asked, example_spec, synthetic, tiny, tiny_spec

from joulebench import engines, logs, models
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import OutputLength
from joulebench.engines import loading, open_engine, weight_formats
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.plan import plan

torch = pytest.importorskip("torch")

HIDDEN, INNER, KEYS, LAYERS = 128, 256, 64, 2
SHAPE = {
    "kind": "causal-lm",
    "model_type": "llama",
    "config": {
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    },
}
ROWS = LAYERS * (HIDDEN + 2 * KEYS + HIDDEN + 2 * INNER + HIDDEN)
"""Of all linear layers but the output's: query, key and value, output, gate and up, down."""
WEIGHTS = LAYERS * (HIDDEN * (HIDDEN + 2 * KEYS) + HIDDEN * HIDDEN + 3 * HIDDEN * INNER)
TURNED = {f"model.layers.{layer}.{name}" for layer in range(LAYERS) for name in (
    *(f"self_attn.{one}_proj" for one in "qkvo"),
    *(f"mlp.{one}_proj" for one in ("gate", "up", "down")),
)}  # fmt: skip
ON_CPU = {  # class of the layer, class of its weight, bytes of all turned weights with what unpacks them
    "bitsandbytes-int8": ("Linear8bitLt", "Int8Params", WEIGHTS + 4 * ROWS),
    "bitsandbytes-int4": ("Linear4bit", "Params4bit", WEIGHTS // 2 + 4 * WEIGHTS // 64),
    "torchao-int8": ("Linear", "Int8Tensor", WEIGHTS + 4 * ROWS),
}
needs_them = pytest.mark.skipif(
    any(weight_formats.find_spec(package) is None for package in weight_formats.PACKAGES),
    reason=f"bitsandbytes or torchao is not installed: {weight_formats.REMEDY}",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a drawn model."""
    made = tmp_path_factory.mktemp("model")
    models.prepare("a/b", synthetic(SHAPE), TEXTS, made)
    return made


@pytest.fixture(scope="module")
def checkpoint(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the same model, with the weights that the seed draws in float32, as files."""
    made = tmp_path_factory.mktemp("checkpoint")
    network(tiny_spec(), folder).save_pretrained(made)
    return made


def network(spec: RunSpec, folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return loading.language_model(AutoModelForCausalLM, spec, folder)


def stored(**changes: Any) -> RunSpec:
    return tiny_spec(weights="checkpoint", weights_seed=None, **changes)


def linear(model: Any) -> dict[str, Any]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}


def size(layer: Any) -> int:
    """Bytes of a layer's weight and of what unpacks it."""
    weight = layer.weight
    if (state := getattr(weight, "quant_state", None)) is not None:  # bitsandbytes' int4
        assert state.quant_type == "nf4"
        return int(weight.nbytes + state.absmax.nbytes)
    if hasattr(weight, "qdata"):  # torchao's
        return int(weight.qdata.nbytes + weight.scale.nbytes)
    return int(weight.nbytes + weight.SCB.nbytes)


def packed(layer: Any) -> int:
    """Bytes of a layer's weight alone, as it is stored."""
    weight = layer.weight.data
    return int(getattr(weight, "qdata", weight).nbytes)


@needs_them
@pytest.mark.parametrize("quantization", ON_CPU)
@pytest.mark.parametrize("weights", ["drawn", "checkpoint"])
def test_linear_layers_but_the_outputs_are_packed(
    weights: str, quantization: str, folder: Path, checkpoint: Path
) -> None:
    changes = {"quantization": quantization}
    spec, place = (tiny_spec(**changes), folder) if weights == "drawn" else (stored(**changes), checkpoint)
    model = network(spec, place)
    layers = linear(model)
    assert layers.keys() == TURNED | {"lm_head"}
    output = layers.pop("lm_head")
    assert (type(output).__name__, output.weight.dtype) == ("Linear", torch.float32)
    of_layer, of_weight, total = ON_CPU[quantization]
    assert {type(one).__name__ for one in layers.values()} == {of_layer}
    assert {type(one.weight.data if of_layer == "Linear" else one.weight).__name__ for one in layers.values()} == {
        of_weight
    }
    assert sum(map(size, layers.values())) == total
    assert not any(part.training for part in model.modules())
    assert model.dtype == torch.float32


@needs_them
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("quantization", ON_CPU)
def test_drawn_weights_are_turned_as_transformers_turns_a_checkpoints(
    quantization: str, dtype: str, folder: Path, checkpoint: Path
) -> None:
    """The drawn model in place, and its checkpoint by `from_pretrained`: the same logits, bit by bit."""
    from transformers import AutoModelForCausalLM

    spec = stored(quantization=quantization, dtype=dtype)
    loaded = network(spec, checkpoint)
    plain = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, dtype), attn_implementation="sdpa")
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        unpacked = plain(ids).logits
        turned = weight_formats.convert(plain, spec).eval()(ids).logits
        expected = loaded(ids).logits
    assert torch.equal(turned, expected)
    assert not torch.equal(turned, unpacked)
    assert (turned - unpacked).abs().mean() < 0.5 * unpacked.std()


@pytest.mark.slow
@needs_them
@pytest.mark.parametrize("engine", ["transformers", "transformers-static"])
@pytest.mark.parametrize("quantization", ON_CPU)
def test_it_serves(quantization: str, engine: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = tiny_spec(
        engine=engine,
        engine_settings={},
        quantization=quantization,
        output_length=OutputLength(kind="fixed", tokens=5),
    )
    served: Any = open_engine(spec, folder)
    for number, one in enumerate(served.prepare(asked(("one", None, None), ("two and more", None, None)))):
        served.submit(number, one)
    finished: dict[int, int] = {}
    with caplog.at_level(logging.WARNING, "bitsandbytes"):
        while len(finished) < 2:
            step = served.step()
            assert not step.failed
            finished |= step.finished
    served.close()
    assert finished == {0: 5, 1: 5}
    assert not caplog.records  # a line for each product would be measured with it


@needs_them
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("quantization", weight_formats.QUANTIZATIONS)
def test_on_a_gpu_drawn_weights_and_a_checkpoints_are_turned_alike(
    quantization: str, folder: Path, checkpoint: Path
) -> None:
    from transformers import AutoModelForCausalLM

    changes = {"quantization": quantization, "device": "cuda", "dtype": "bfloat16"}
    if torch.cuda.get_device_capability() < weight_formats.FORMATS[quantization].compute_capability:
        with pytest.raises(UserError, match="found a GPU of compute capability"):
            network(tiny_spec(**changes), folder)
        return
    loaded, drawn = network(stored(**changes), checkpoint), network(tiny_spec(**changes), folder)
    plain = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16, attn_implementation="sdpa").cuda()
    ids = torch.arange(3, 40, device="cuda")[None]
    with torch.no_grad():
        unpacked = plain(ids).logits
        turned = weight_formats.convert(plain, stored(**changes)).eval()(ids).logits
        assert torch.equal(turned, loaded(ids).logits)
        assert drawn(ids).logits.isfinite().all()
    assert 0 < (turned - unpacked).abs().mean() < 0.5 * unpacked.std()
    # torchao's int4 fills a row up to a multiple of 1,024, which every row here is under
    weights = {"torchao-int4": 1024 * ROWS // 2, "bitsandbytes-int4": WEIGHTS // 2}.get(quantization, WEIGHTS)
    for model in (loaded, drawn):
        layers = linear(model)
        del layers["lm_head"]
        assert layers.keys() == TURNED
        assert {weight.device.type for weight in model.parameters()} == {"cuda"}
        assert sum(packed(one) for one in layers.values()) == weights


@needs_them
def test_layers_that_stay_as_they_were_are_refused(folder: Path) -> None:
    spec = tiny_spec(quantization="torchao-int8")
    model = weight_formats.convert(network(tiny_spec(), folder), spec)
    weight_formats.check(model, spec)
    model.model.layers[1].mlp.up_proj.weight = torch.nn.Parameter(torch.zeros(32, 96))
    with pytest.raises(UserError) as refused:
        weight_formats.check(model, spec)
    assert str(refused.value) == (
        "models.joulebench/llama-1m: torchao-int8 leaves 1 of 14 linear layers as they are "
        "(model.layers.1.mlp.up_proj.weight, 32 x 96), since its kernels take no such size; take another quantization"
    )


@needs_them
def test_a_checkpoint_in_fewer_bits_is_not_turned_again(checkpoint: Path, tmp_path: Path) -> None:
    network(stored(quantization="bitsandbytes-int4"), checkpoint).save_pretrained(tmp_path)
    with pytest.raises(
        UserError, match=r"is quantised already .*bitsandbytes.* and cannot be turned into torchao-int8;"
    ):
        network(stored(quantization="torchao-int8"), tmp_path)


def test_a_missing_package_is_named_with_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_formats, "find_spec", lambda name: None)
    for quantization in ("bitsandbytes-int4", "torchao-int8"):
        with pytest.raises(UserError) as refused:
            network(tiny_spec(quantization=quantization), folder)
        assert str(refused.value) == (
            f"engine transformers: {quantization} needs the package {quantization.partition('-')[0]}; "
            "make env-quantization, or pip install -r envs/quantization.txt -c envs/constraints.txt"
        )


@pytest.mark.parametrize("engine", ["transformers", "transformers-static"])
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"quantization": "torchao-int4", "dtype": "bfloat16"},
            "serves torchao-int4 on cuda in bfloat16, found bfloat16 on cpu for joulebench/llama-1m; there it serves "
            "bitsandbytes-int8, bitsandbytes-int4, torchao-int8",
        ),
        ({"quantization": "torchao-fp8", "device": "rocm"}, "on cuda in bfloat16, found float32 on rocm for"),
        ({"quantization": "torchao-int4", "device": "cuda"}, "on cuda in bfloat16, found float32 on cuda for"),
        ({"quantization": "gptq"}, "wants gptq for joulebench/llama-1m; "),
        ({"quantization": "gptq"}, "torchao-int4, torchao-fp8; gptq is known to vllm, server"),
        ({"quantization": "int8"}, "; int8 is known to onnxruntime"),
    ],
)
def test_what_cannot_be_is_refused_when_planning(changes: dict[str, Any], complaint: str, engine: str) -> None:
    with pytest.raises(ConfigError) as error:
        engines.check(tiny_spec(engine=engine, engine_settings={}, **changes))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_format_is_held_against_each_dtype_of_an_entrys_models() -> None:
    raw = tiny()
    first = raw["matrix"]["cpu"]["llm-chat"]["models"][0]
    raw["models"]["a/b"] = {**raw["models"][first], "dtype": "bfloat16"}
    raw["hardware"]["gpu"] = {"device": "cuda"}
    raw["variants"] = {"int4": {"quantization": "torchao-int4"}}
    entry = {**raw["matrix"]["cpu"]["llm-chat"], "models": ["a/b+int4"]}
    raw["matrix"]["gpu"] = {"llm-chat": entry}
    plan(raw)
    entry["models"] = ["a/b+int4", f"{first}+int4"]
    with pytest.raises(ConfigError, match=f"found float32 on cuda for {first}"):
        plan(raw)


@pytest.mark.parametrize("quantization", weight_formats.QUANTIZATIONS)
def test_a_gpu_in_bfloat16_serves_every_format_and_other_engines_say_who(quantization: str) -> None:
    engines.check(tiny_spec(quantization=quantization, device="cuda", dtype="bfloat16"))
    with pytest.raises(ConfigError, match=f"{quantization} is known to transformers, transformers-static$"):
        engines.check(example_spec(quantization=quantization))


@pytest.mark.slow
@needs_them
def test_loading_says_nothing_of_an_installation_that_is_as_it_should_be(tmp_path: Path) -> None:
    """In a process of its own: what the packages say, they say when they are first imported."""
    words = (
        "from joulebench.logs import journal\n"
        f"with journal({str(tmp_path / 'a.log')!r}, 'loading'):\n"
        "    from transformers.quantizers import AutoHfQuantizer\n"
        "    import bitsandbytes, torchao\n"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=120)
    assert [line.partition(" ")[2] for line in done.stderr.splitlines()] == ["loading: begins", "loading: done"]


@pytest.mark.parametrize(
    ("logger", "said"),
    [
        ("torchao", "Skipping import of cpp extensions due to incompatible torch version."),
        ("torch.utils._pytree", "a node of another kind"),
        ("bitsandbytes.backends.cpu.ops", "no such kernel"),
    ],
)
def test_loading_tells_all_else(logger: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    logs.quiet_libraries()
    logging.getLogger(logger).warning("Failed to load /x/_C_mxfp8.so" if logger == "torchao" else logs.NO_NEWS[logger])
    logging.getLogger(logger).warning(said)
    assert caplog.messages == [said]
