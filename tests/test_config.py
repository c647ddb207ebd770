"""What may be written in config.yaml, and what a wrong one says."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import PROJECT

from joulebench import config
from joulebench.config.schema import json_schema
from joulebench.config.spec import RunSpec, run_spec
from joulebench.inputs.checked import ConfigError
from joulebench.plan import Plan, plan


def complaint(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(raw, "config.yaml")
    return str(caught.value)


def test_the_projects_own_configs_are_valid(raw: dict[str, Any]) -> None:
    plan(raw)
    for path in (PROJECT / "config").glob("*.yaml"):
        plan(yaml.safe_load(path.read_text()), path.name)


def test_schema_for_editors_is_in_step() -> None:
    assert (PROJECT / "config" / "schema.json").read_text() == json_schema(), "run `make schema`"


def test_unknown_key_gets_the_nearest_known_one(raw: dict[str, Any]) -> None:
    raw["tasks"]["llm-chat"]["sweep"]["batch_size"] = 8
    expected = "config.yaml: tasks.llm-chat.sweep.batch_size: unknown key; did you mean 'batch_sizes'?"
    assert complaint(raw) == expected


def test_unknown_key_in_a_union_gets_the_nearest_of_its_own_branch(raw: dict[str, Any]) -> None:
    raw["tasks"]["llm-chat"]["sweep"]["protocol"]["second"] = 8
    expected = "config.yaml: tasks.llm-chat.sweep.protocol.second: unknown key; did you mean 'seconds'?"
    assert complaint(raw) == expected


def test_model_without_weights(raw: dict[str, Any]) -> None:
    del raw["models"]["joulebench/llama-1m"]["weights"]
    expected = "config.yaml: models.joulebench/llama-1m.weights: missing; expected checkpoint or synthetic"
    assert complaint(raw) == expected


NO_REVISION = "expected a commit (40 hex digits), or the name of a tag or branch such as main"


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/5", "0" * 40])
def test_a_revision_is_a_commit_or_a_name(raw: dict[str, Any], revision: str) -> None:
    raw["models"]["a/b"] = {"weights": "checkpoint", "revision": revision}
    assert config.parse(raw).models["a/b"].model_dump()["revision"] == revision


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("0" * 12, "found 12 hex digits, which is a part of a commit; give all 40"),
        ("../main", NO_REVISION),
        ("a--b", NO_REVISION),
        ("main/", NO_REVISION),
        ("", NO_REVISION),
    ],
)
def test_a_revision_that_is_neither(raw: dict[str, Any], revision: str, says: str) -> None:
    raw["models"]["a/b"] = {"weights": "checkpoint", "revision": revision}
    assert says in complaint(raw)


LOCAL = {"kind": "local", "path": "own"}
PACKAGE = {"kind": "package", "name": "some-weights", "version": "1.2", "file": "some_weights/tiny.gguf"}
HUB = {"kind": "hub", "repo": "lab/tiny-GGUF", "revision": "0" * 40, "file": "tiny.gguf"}
INSIDE = "; expected a path inside the package or repository, without '..' and no '/' at its ends"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, ": found neither of revision and source; a checkpoint is from one of them"),
        (
            {"revision": "0" * 40, "source": LOCAL},
            ": found both of revision and source; a checkpoint is from one of them",
        ),
        (
            {"trust_remote_code": True, "source": LOCAL},
            ": trust_remote_code is for the hub at a revision alone; leave it out beside source",
        ),
        ({"source": {"kind": "folder"}}, ".source.kind: found 'folder'; expected hub or local or package"),
        ({"source": LOCAL | {"sha256": "abc"}}, ".source.sha256: found 'abc'; expected to match ^[0-9a-f]{64}$"),
        ({"source": PACKAGE | {"file": "/etc/x.gguf"}}, f".source.file: found '/etc/x.gguf'{INSIDE}"),
        (
            {"source": PACKAGE | {"file": "some_weights/../x.gguf"}},
            f".source.file: found 'some_weights/../x.gguf'{INSIDE}",
        ),
        ({"source": PACKAGE | {"file": "a\\b.gguf"}}, f".source.file: found 'a\\\\b.gguf'{INSIDE}"),
        ({"source": PACKAGE | {"file": ""}}, f".source.file: found ''{INSIDE}"),
        (
            {"source": PACKAGE | {"name": "../x"}},
            ".source.name: found '../x'; expected to match ^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
        ),
        (
            {"source": PACKAGE | {"version": ">=1"}},
            ".source.version: found '>=1'; expected to match ^[0-9A-Za-z][0-9A-Za-z.!+_-]*$",
        ),
        ({"source": HUB | {"file": "../tiny.gguf"}}, f".source.file: found '../tiny.gguf'{INSIDE}"),
        (
            {"source": HUB | {"file": "model.safetensors"}},
            r".source.file: found 'model.safetensors'; expected to match \.gguf$",
        ),
        (
            {"source": HUB | {"revision": "00"}, "repo": "c/d"},
            ": repo is for the hub at a revision alone; leave it out beside source",
        ),
    ],
)
def test_a_checkpoint_from_somewhere_else(raw: dict[str, Any], facts: dict[str, Any], said: str) -> None:
    raw["models"]["a/b"] = {"weights": "checkpoint"} | facts
    assert complaint(raw) == f"config.yaml: models.a/b{said}"


@pytest.mark.parametrize("source", [LOCAL, PACKAGE, HUB])
def test_a_source_is_of_the_spec_and_a_revision_alone_hashes_as_ever(
    raw: dict[str, Any], source: dict[str, Any]
) -> None:
    def spec(**facts: Any) -> RunSpec:
        raw["models"]["joulebench/llama-1m"] = {"weights": "checkpoint"} | facts
        return run_spec(config.parse(raw), "cpu", "llm-chat", "joulebench/llama-1m")

    of_hub = spec(revision="0" * 40)
    before = of_hub.model_dump(mode="json", exclude_defaults=True)
    assert "source" not in before  # what the hash is of, and what published records have
    assert RunSpec.model_validate(before).hash == of_hub.hash
    other = spec(source=source)
    assert other.revision is None
    assert RunSpec.model_validate(json.loads(other.model_dump_json())).source == other.source
    assert other.hash not in (of_hub.hash, spec(source=source | {"path": "other"} if source == LOCAL else LOCAL).hash)


@pytest.mark.parametrize("name", ["../up", "a/../b", "/abs", "a/b/c", "a--b", "", ".hidden", "a b", "a\nb", "a+b/c"])
def test_model_id_that_could_leave_the_results_folder(raw: dict[str, Any], name: str) -> None:
    raw["models"][name] = raw["models"]["joulebench/llama-1m"]
    assert "names a folder under results/" in complaint(raw)


@pytest.mark.parametrize("name", ["../up", "models", "requests", "H100", "a/b", "", "."])
def test_hardware_name_that_could_leave_the_results_folder(raw: dict[str, Any], name: str) -> None:
    raw["hardware"][name] = {"device": "cpu"}
    assert "names a folder under results/" in complaint(raw) or "names a folder" in complaint(raw)


@pytest.mark.parametrize("name", ["../up", "a/b", "a+b", ""])
def test_variant_name_that_could_leave_the_results_folder(raw: dict[str, Any], name: str) -> None:
    raw["variants"][name] = {"dtype": "bfloat16"}
    assert "variants" in complaint(raw)


def test_batch_sizes_must_rise(raw: dict[str, Any]) -> None:
    raw["tasks"]["llm-chat"]["sweep"]["batch_sizes"] = [4, 2]
    assert complaint(raw) == "config.yaml: tasks.llm-chat.sweep: batch_sizes must rise, found [4, 2]"


def test_run_of_a_model_that_is_not_there(raw: dict[str, Any]) -> None:
    raw["matrix"]["cpu"]["llm-chat"]["models"] = ["joulebench/llama-1n"]
    message = complaint(raw)
    assert "no model 'joulebench/llama-1n' in the config; did you mean 'joulebench/llama-1m'?" in message


def test_synthetic_weights_never_end_an_answer(raw: dict[str, Any]) -> None:
    chat = raw["matrix"]["cpu"]["llm-chat"]
    chat["models"] = ["joulebench/llama-1m"]
    assert "synthetic weights, which never end an answer" in complaint(raw)  # it asks for natural ones
    chat["models"] = ["joulebench/llama-1m+reference"]
    assert config.parse(raw).length_of("cpu", "llm-chat", "joulebench/llama-1m+reference").kind == "reference"


def test_a_variant_has_its_own_answer_lengths(raw: dict[str, Any]) -> None:
    raw["variants"]["free"] = {"output_length": {"kind": "natural", "tokens": 40}}
    entry = raw["matrix"]["cpu"]["llm-code"]
    entry["models"] = runs = [f"HuggingFaceTB/SmolLM2-135M-Instruct{plus}" for plus in ("", "+free")]
    plain, free = (run_spec(config.parse(raw), "cpu", "llm-code", run) for run in runs)
    assert [(one.output_length.kind, one.output_length.tokens) for one in (plain, free)] == [
        ("reference", 512),
        ("natural", 40),
    ]
    # A start in equilibrium is of requests in the middle of answers whose end is known.
    assert (plain.sweep.start, free.sweep.start) == ("equilibrium", "cold")
    raw["matrix"]["cpu"]["text-to-image"]["models"] = ["joulebench/sd-5m+free"]
    assert complaint(raw) == (
        "config.yaml: matrix.cpu.text-to-image.models: 'joulebench/sd-5m+free' asks for an output_length, "
        "and text-to-image has no answers of text"
    )


def test_engine_setting_that_the_engine_does_not_know(raw: dict[str, Any]) -> None:
    raw["engines"]["transformers"]["settings"]["num_block"] = 4
    assert complaint(raw) == "engines.transformers.settings: num_block: unknown key; did you mean 'num_blocks'?"


def test_an_engine_is_told_by_the_name_that_the_config_has_for_it(raw: dict[str, Any]) -> None:
    raw["engines"]["ours"] = {"kind": "server", "settings": {"url": "http://127.0.0.1:8000/v2"}}
    raw["matrix"]["cpu"]["llm-chat"]["engine"] = "ours"
    assert complaint(raw).startswith("engines.ours.settings: url: found 'http://127.0.0.1:8000/v2'; expected http://")
    raw["engines"]["ours"]["settings"]["url"] = "http://127.0.0.1:8000"
    assert complaint(raw).startswith("matrix.cpu.llm-chat: engine ours: answers of given lengths")


def test_whole_batches_are_asked_of_engines_that_serve_in_them(raw: dict[str, Any]) -> None:
    protocol = {"kind": "timed", "seconds": 5, "min_batches": 10}
    study = raw["studies"]["cpu"]["llm-perf"]
    study["models"], study["sweep"]["protocol"] = study["models"][:1], protocol
    plan(raw)  # static batches
    raw["matrix"]["cpu"]["text-to-image"]["sweep"] = {"batch_sizes": [1], "protocol": protocol}
    plan(raw)  # pictures are made in batches
    study["engine"] = "transformers"
    assert complaint(raw) == (
        "studies.cpu.llm-perf: min_batches asks for whole batches of HuggingFaceTB/SmolLM2-135M-Instruct, and engine "
        "transformers serves request by request; transformers-static and diffusers know it, elsewhere leave it out "
        "(`sweeps` gives single models their own)"
    )


def test_the_sweep_of_a_single_model_is_held_against_its_engine_too(raw: dict[str, Any]) -> None:
    entry = raw["matrix"]["cpu"]["llm-chat"]
    asked = {"batch_sizes": [2], "protocol": {"kind": "timed", "seconds": 5, "min_batches": 10}}
    assert len(entry["models"]) > 1
    for model in entry["models"]:
        entry["sweeps"] = {model: asked}
        assert f"min_batches asks for whole batches of {model.partition('+')[0]}, " in complaint(raw)


def test_engine_that_does_not_serve_the_task(raw: dict[str, Any]) -> None:
    raw["matrix"]["cpu"]["llm-chat"]["engine"] = "diffusers"
    expected = "matrix.cpu.llm-chat.engine: diffusers serves text-to-image, text-to-video, image-to-video"
    assert complaint(raw) == expected


def test_more_devices_than_the_engine_spreads_a_model_over(raw: dict[str, Any]) -> None:
    raw["variants"]["tp4"] = {"tensor_parallel": 4}
    raw["matrix"]["cpu"]["llm-code"]["models"] = ["joulebench/llama-1m+tp4"]
    assert complaint(raw) == (
        "matrix.cpu.llm-code: variant tp4 wants 4 devices for joulebench/llama-1m; "
        "engine transformers spreads a model over 1"
    )


def test_attention_that_an_engine_does_not_have(raw: dict[str, Any]) -> None:
    raw["variants"] |= {"eager": {"attention": "eager"}, "flash": {"attention": "flash_attention_2"}}
    raw["matrix"]["h100"]["llm-code"] |= {"models": ["codellama/CodeLlama-7b-hf+eager"], "sweeps": {}}
    assert complaint(raw) == (
        "matrix.h100.llm-code: variant eager wants eager for codellama/CodeLlama-7b-hf; engine vllm knows no attention "
        "but its own choice; eager is known to transformers, transformers-static"
    )
    raw["matrix"]["h100"]["llm-code"]["engine"] = "transformers"
    raw["matrix"]["cpu"]["llm-code"]["models"] = ["joulebench/starcoder2-4m+flash"]
    assert complaint(raw) == (
        "matrix.cpu.llm-code: variant flash wants flash_attention_2 for joulebench/starcoder2-4m, which is a GPU's; "
        "on cpu the engine transformers knows eager, sdpa"
    )


def test_answers_are_judged_where_there_are_any(raw: dict[str, Any]) -> None:
    images, texts = raw["matrix"]["cpu"]["text-to-image"], raw["matrix"]["cpu"]["llm-chat"]
    images["quality"] = {"kind": "exact-match"}
    expected = "exact-match judges llm-chat, llm-code, vlm-chat, not text-to-image; leave it out"
    assert f"matrix.cpu.text-to-image.quality: {expected}" in complaint(raw)
    del images["quality"]
    texts["quality"] = {"kind": "clip-score", "clip": "a/clip"}
    assert "matrix.cpu.llm-chat.quality: clip-score judges text-to-image, not llm-chat; leave it out" in complaint(raw)
    del texts["quality"]
    raw["studies"]["cpu"]["concurrency"]["quality"] = {"kind": "exact-match"}
    assert "studies.cpu.concurrency.quality: a study's answers are not judged; say it in the matrix" in complaint(raw)
    raw["studies"]["cpu"]["concurrency"]["quality"] = {"kind": "exact"}
    assert "expected clip-score or exact-match or pass-at-1" in complaint(raw)


def test_images_are_judged_by_a_checkpoint_of_the_config(raw: dict[str, Any]) -> None:
    where = "matrix.cpu.text-to-image.quality.clip"
    judge = raw["models"]["a/clip"] = {"weights": "checkpoint", "revision": "0" * 40}
    asked = raw["matrix"]["cpu"]["text-to-image"]["quality"] = {"kind": "clip-score", "clip": "a/clap"}
    assert f"{where}: no model 'a/clap' in the config" in complaint(raw)
    asked["clip"] = raw["matrix"]["cpu"]["text-to-image"]["models"][0]
    assert f"{where}: '{asked['clip']}' has synthetic weights, which judge nothing; name a CLIP" in complaint(raw)
    asked["clip"], judge["trust_remote_code"] = "a/clip", True
    assert f"{where}: 'a/clip' has trust_remote_code, and a judge runs no code of others" in complaint(raw)
    judge["trust_remote_code"] = False
    made = plan(raw)
    (cell, *_) = (cell for cell in made.cells("cpu") if cell.task == "text-to-image")
    found = made.judge(cell)
    assert found is not None
    assert (found.model, found.folder) == ("a/clip", Path("results/models/a--clip"))
    assert found.made_from["revision"] == "0" * 40
    assert made.scored("cpu") == []  # drawn weights have no score


def test_experts_are_shared_by_several_devices(raw: dict[str, Any]) -> None:
    raw["variants"]["ep"] = {"expert_parallel": True}
    raw["matrix"]["h100"]["llm-chat"] |= {"models": ["Qwen/Qwen3-8B+ep"], "sweeps": {}}
    assert complaint(raw) == (
        "matrix.h100.llm-chat: variant ep wants expert_parallel for Qwen/Qwen3-8B on one device; give it "
        "tensor_parallel devices to share the experts, or leave it out"
    )


def test_many_gpus_are_asked_for_by_their_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    asked = Plan(config.load("config/many-gpus.yaml"))
    shared = {
        cell.run: (spec.tensor_parallel, spec.expert_parallel, spec.quantization)
        for cell in asked.cells()
        for spec in [asked.spec(cell)]
    }
    assert shared == {
        "meta-llama/Llama-3.1-8B-Instruct": (1, False, None),
        "meta-llama/Llama-3.1-8B-Instruct+tp2": (2, False, None),
        "Qwen/Qwen3-30B-A3B+tp2": (2, False, None),
        "meta-llama/Llama-3.1-70B-Instruct+tp4": (4, False, None),
        "meta-llama/Llama-3.1-70B-Instruct+tp8": (8, False, None),
        "Qwen/Qwen3-235B-A22B+ep4-fp8": (4, True, "fp8"),
        "Qwen/Qwen3-235B-A22B+ep8-fp8": (8, True, "fp8"),
    }


def test_a_task_with_images_needs_them_and_no_other_takes_them(raw: dict[str, Any]) -> None:
    media = raw["tasks"]["vlm-chat"]["dataset"].pop("media")
    assert "tasks.vlm-chat.dataset.media: missing; vlm-chat needs the images or videos" in complaint(raw)
    raw["tasks"]["vlm-chat"]["dataset"]["media"] = media
    raw["matrix"]["cpu"]["llm-chat"]["dataset"]["media"] = media
    assert "matrix.cpu.llm-chat.dataset.media: llm-chat serves no images; leave it out" in complaint(raw)


def test_a_video_task_needs_the_number_of_frames(raw: dict[str, Any]) -> None:
    (run, *_) = raw["matrix"]["cpu"]["text-to-video"]["models"]
    del raw["models"][run]["generation"]["frames"]
    assert f"models.{run}.generation.frames: missing; text-to-video needs the number of frames" in complaint(raw)


def test_a_model_of_images_answers_no_text(raw: dict[str, Any]) -> None:
    raw["matrix"]["cpu"]["llm-chat"]["models"] = ["joulebench/sd-5m"]
    assert (
        "matrix.cpu.llm-chat.models: 'joulebench/sd-5m' makes images or videos (it has `generation`), and llm-chat "
        "asks for text; put it under text-to-image, text-to-video, image-to-video, or leave generation out"
    ) in complaint(raw)


def test_a_study_without_its_hardware(raw: dict[str, Any]) -> None:
    raw["studies"] = raw["studies"]["cpu"]
    assert complaint(raw).startswith(
        "config.yaml: studies: 'request-volume' is a study, expected a hardware that has studies: {cpu: {request-"
    )


@pytest.mark.parametrize("height", [0, 33])
def test_a_height_that_no_pipeline_takes(raw: dict[str, Any], height: int) -> None:
    raw["models"]["joulebench/sd-5m"]["generation"]["height"] = height
    assert f"models.joulebench/sd-5m.generation.height: found {height}; input should be" in complaint(raw)


def test_tokenizer_trained_on_prompts_that_nobody_samples(raw: dict[str, Any]) -> None:
    raw["models"]["joulebench/llama-1m"]["tokenizer"]["train_on"] = "llm-chat.h200"
    assert "models.joulebench/llama-1m.tokenizer.train_on: no prompts 'llm-chat.h200' in the config" in complaint(raw)
    raw["models"]["joulebench/llama-1m"]["tokenizer"]["train_on"] = "../llm-chat"
    assert "expected a task, or 'task.hardware'" in complaint(raw)


def test_hardware_with_a_dataset_of_its_own_has_requests_of_its_own(raw: dict[str, Any]) -> None:
    found = config.parse(raw)
    for task in found.matrix["cpu"]:
        assert found.prompts_of("cpu", task) == f"{task}.cpu"
        assert found.prompts[f"{task}.cpu"][0].source.kind == "packaged"
        assert found.prompts_of("h200", task) == task
        assert found.prompts[task][0].source.kind == "local"
    spec = run_spec(found, "cpu", "llm-chat", "joulebench/llama-1m")
    assert (spec.dataset, spec.sample) == found.prompts["llm-chat.cpu"]
    only_fewer = copy.deepcopy(raw)
    only_fewer["matrix"]["cpu"]["llm-chat"].pop("dataset")
    dataset, sample = config.parse(only_fewer).prompts["llm-chat.cpu"]
    assert (dataset.source.kind, sample.requests) == ("local", raw["matrix"]["cpu"]["llm-chat"]["sample"]["requests"])


def test_unknown_dataset_and_filter(raw: dict[str, Any]) -> None:
    raw["tasks"]["llm-chat"]["dataset"]["name"] = "sharegtp"
    assert "did you mean 'sharegpt'?" in complaint(raw)
    raw["tasks"]["llm-chat"]["dataset"] = {
        "name": "sharegpt",
        "source": {"kind": "packaged"},
        "filters": {"max_token": 3},
    }
    assert "did you mean 'max_tokens'?" in complaint(raw)


def test_missing_architecture_file(raw: dict[str, Any]) -> None:
    raw["models"]["joulebench/llava-5m"]["architecture"] = "config/models/none.yaml"
    assert complaint(raw) == "models.joulebench/llava-5m.architecture: no file config/models/none.yaml"


def test_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("tasks: [")
    with pytest.raises(ConfigError, match="is not readable YAML"):
        config.load(path)


def test_spec_hash_follows_what_is_measured_and_nothing_else(raw: dict[str, Any]) -> None:
    def spec_hash(changed: dict[str, Any]) -> str:
        return run_spec(config.parse(changed), "cpu", "llm-chat", "joulebench/llama-1m").hash

    before = spec_hash(raw)
    only_for_tables = copy.deepcopy(raw)
    only_for_tables["tasks"]["llm-chat"]["latency_target"]["at_most_s"] = 7
    only_for_tables["hardware"]["cpu"]["tdp_w"] = 3
    only_for_tables["models"]["joulebench/llama-1m"]["licence"] = "MIT"
    assert spec_hash(only_for_tables) == before
    spelled_out = copy.deepcopy(raw)
    assert "warmup_batches" not in spelled_out["matrix"]["cpu"]["llm-chat"]["sweep"]
    spelled_out["matrix"]["cpu"]["llm-chat"]["sweep"]["warmup_batches"] = 1
    assert spec_hash(spelled_out) == before
    for change in (
        lambda c: c["matrix"]["cpu"]["llm-chat"]["sample"].update(seed=1),
        lambda c: c["matrix"]["cpu"]["llm-chat"]["sweep"].update(batch_sizes=[1]),
        lambda c: c["models"]["joulebench/llama-1m"].update(seed=1),
        lambda c: c["models"]["joulebench/llama-1m"].update(dtype="bfloat16"),
        lambda c: c["engines"]["transformers"]["settings"].update(block_size=32),
    ):
        changed = copy.deepcopy(raw)
        change(changed)
        assert spec_hash(changed) != before


def test_spec_goes_through_json_unchanged(raw: dict[str, Any]) -> None:
    raw["matrix"]["cpu"]["llm-code"]["models"].append("joulebench/llama-9m+bf16")
    spec = run_spec(config.parse(raw), "cpu", "llm-code", "joulebench/llama-9m+bf16")
    again = RunSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json"))))
    assert again == spec
    assert again.hash == spec.hash
    assert (spec.run, spec.dtype) == ("joulebench--llama-9m+bf16", "bfloat16")


def test_a_gpu_is_named_by_its_platform_and_is_cuda_to_torch(raw: dict[str, Any]) -> None:
    for device, on_gpu, torch_device in (("cpu", False, "cpu"), ("cuda", True, "cuda"), ("rocm", True, "cuda")):
        raw["hardware"]["cpu"]["device"] = device
        spec = run_spec(config.parse(raw), "cpu", "llm-chat", "joulebench/llama-1m")
        assert (spec.device, spec.on_gpu, spec.torch_device) == (device, on_gpu, torch_device)
    raw["hardware"]["cpu"]["device"] = "hip"
    with pytest.raises(
        ConfigError, match=r"hardware\.cpu\.device: found 'hip'; input should be 'cpu', 'cuda' or 'rocm'"
    ):
        config.parse(raw)


def test_the_requests_of_a_study_are_never_anothers() -> None:
    """A study `b` on `cpu`, and hardware `cpu-b`: each has its own sample, by its own name."""
    made = config.load(PROJECT / "config" / "tiny.yaml").model_dump(mode="json")
    matrix, sweep = made["matrix"]["cpu"]["llm-chat"], {"batch_sizes": [1], "protocol": {"kind": "timed", "seconds": 1}}
    made["hardware"]["cpu-b"] = made["hardware"]["cpu"]
    made["matrix"]["cpu-b"] = {"llm-chat": matrix | {"sample": {"requests": 6, "seed": 9}}}
    study = matrix | {"task": "llm-chat", "asks": "what it is", "sweep": sweep, "sample": {"requests": 4, "seed": 1}}
    made["studies"] = {"cpu": {"b": study}}
    read = config.parse(made)
    names = {read.prompts_of("cpu-b", "llm-chat"), read.prompts_of("cpu", "b"), read.prompts_of("cpu", "llm-chat")}
    assert {name: read.prompts[name][1].requests for name in names} == {
        "llm-chat.cpu-b": 6,
        "llm-chat.cpu.b": 4,
        "llm-chat": 8,
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([0], "rate_per_s.0: found 0; input should be greater than or equal to 0.001"),
        ([], "rate_per_s: found []; list should have at least 1 item after validation, not 0"),
        ([1, "x"], "rate_per_s.1: found 'x'; input should be a valid number, unable to parse string as a number"),
        ("x", "rate_per_s: found 'x'; input should be a valid number, unable to parse string as a number"),
        (0, "rate_per_s: found 0; input should be greater than or equal to 0.001"),
    ],
)
def test_what_may_be_a_number_or_a_list_is_told_in_one_line(raw: dict[str, Any], value: object, said: str) -> None:
    raw["studies"]["cpu"]["arrival-rate"]["sweep"]["rate_per_s"] = value
    with pytest.raises(ConfigError) as error:
        config.parse(raw, "config")
    assert str(error.value) == f"config: studies.cpu.arrival-rate.sweep.{said}"


def test_a_bad_name_is_told_beside_what_is_wrong_in_its_block(raw: dict[str, Any]) -> None:
    raw["hardware"]["bad name/!"] = {"device": "tpu"}
    with pytest.raises(ConfigError) as error:
        config.parse(raw, "config")
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert "a hardware name is lower-case letters" in lines[0]
    assert "device: found 'tpu'" in lines[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scores": "s"}, "published_scores.0.scores: unknown key; did you mean 'score'?"),
        ({"date": "13 March 2025"}, "published_scores.0.date: found '13 March 2025'; expected to match"),
        ({"name": "=1+1"}, "published_scores.0.name: found '=1+1'; text of the tables cannot begin with"),
        ({"where": {"Precision": 16}}, "published_scores.0.where.Precision: found 16; input should be a valid string"),
        ({"file": None}, "published_scores.0.file: found None; input should be a valid string"),
    ],
)
def test_published_scores_say_what_they_are(raw: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    entry = {"file": "a.csv", "model": "m", "score": "s", "name": "n", "source": "who", "date": "2025-03-13"}
    raw["published_scores"] = [entry | changes]
    assert f"config.yaml: {said}" in complaint(raw)


def test_a_single_model_may_have_a_sweep_of_its_own(raw: dict[str, Any]) -> None:
    entry = raw["matrix"]["cpu"]["text-to-image"]
    own = {"batch_sizes": [3], "protocol": {"kind": "fixed", "requests": 3}}
    first, second = entry["models"]
    entry["sweeps"] = {first: own}
    made = config.parse(raw)
    sizes = [run_spec(made, "cpu", "text-to-image", run).sweep.batch_sizes for run in (first, second)]
    assert sizes == [(3,), tuple(entry["sweep"]["batch_sizes"])]


def test_a_sweep_of_a_model_that_the_entry_has_not(raw: dict[str, Any]) -> None:
    raw["matrix"]["cpu"]["text-to-image"]["sweeps"] = {
        "joulebench/sd-6m": {"batch_sizes": [1], "protocol": {"kind": "fixed", "requests": 3}}
    }
    assert "sweeps: no model variant of this entry 'joulebench/sd-6m'" in complaint(raw)
    assert "joulebench/sd-5m" in complaint(raw)


@pytest.mark.parametrize("metric", ["tpot", "itl", "ttft", "submission_ttft"])
def test_a_latency_of_tokens_is_no_target_of_pictures(raw: dict[str, Any], metric: str) -> None:
    raw["tasks"]["text-to-image"]["latency_target"] = {"metric": metric, "at_most_s": 0.2}
    assert complaint(raw) == (
        f"config.yaml: tasks.text-to-image.latency_target.metric: {metric} is of tokens, and text-to-image has none; "
        "set it to latency"
    )
