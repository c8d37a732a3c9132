"""Every member of the T5 family against `transformers`, from its own files.

Logits, loss, gradients, greedy and beam-4 tokens; and round all formats without a changed bit.
"""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from pe.decode.beam import BeamConfig, make_beam_search
from pe.decode.generate import Generator, Request
from pe.decode.sampling import SamplingConfig
from pe.engines.export import convert_model
from pe.train.loss import token_xent
from pe.weights.checkpoint import load_params
from pe.weights.hf import open_hf
from pe.weights.hf_config import hf_names

pytestmark = [pytest.mark.torch, pytest.mark.slow]

SIZES = {
    "vocab_size": 96,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}
# class, entries of its config.json as published, whether it has an output matrix of its own
MEMBERS = {
    "t5_1_0": ("T5", {"feed_forward_proj": "relu"}, False),
    "t5_1_1": ("T5", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, True),
    "mt5": ("MT5", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, True),
    "umt5": ("UMT5", {"feed_forward_proj": "gated-gelu"}, False),
    "umt5_untied": ("UMT5", {"feed_forward_proj": "gated-gelu"}, True),
}
MAX_TOKENS = 32
ALL_TOKENS = {"suppress_tokens": None}  # beams: transformers masks after the softmax, we before
NUM_INPUTS, NUM_TRIED = 3, 96
TARGETS = np.array([[4, 60, 22, 9, 1], [7, 17, 3, 1, 0], [80, 1, 0, 0, 0]])


@pytest.fixture(scope="module", params=MEMBERS)
def member(request, torch, transformers, tmp_path_factory):
    """(transformers' model, its folder as transformers saved it, inputs [3 8]).

    The inputs are some of whose greedy texts hold ten different tokens or more: a random model
    mostly says one token for ever, which any decoder reproduces.
    """
    name, entries, has_head = MEMBERS[request.param]
    config = getattr(transformers, f"{name}Config")(**SIZES, **entries)
    for seed in range(30):
        model = getattr(transformers, f"{name}ForConditionalGeneration")(config).eval()
        if has_head:
            model.lm_head.weight = torch.nn.Parameter(torch.empty(96, 32))
        randomize(model, torch, seed)
        tried = np.random.default_rng(seed).integers(2, 96, (NUM_TRIED, 8))
        tried[:, 5:] *= np.arange(NUM_TRIED)[:, None] % 2  # half of them are padded
        texts = greedy_tokens(model, torch, tried)
        varied = [i for i, row in enumerate(texts.tolist()) if len(set(row)) > 10]
        if len(varied) >= NUM_INPUTS:
            break
    else:
        pytest.fail("no seed gave texts of ten different tokens")
    folder = tmp_path_factory.mktemp(request.param) / "hf"
    model.save_pretrained(folder)
    return model, folder, tried[varied[:NUM_INPUTS]]


def randomize(model, torch, seed):
    """Draw parameters wide enough that greedy texts vary.

    Queries and keys less so: a softmax of scores in the hundreds makes much of the last bit.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        scale = 0.2 if name.endswith((".q.weight", ".k.weight")) else 0.5
        scale = 1.0 if "bias" in name or "lm_head" in name else scale
        parameter.data.normal_(0.0, scale, generator=generator)
        if parameter.ndim == 1:
            parameter.data = parameter.data * 0.2 + 1.0


def greedy_tokens(model, torch, inputs, **options):
    tokens = model.generate(
        torch.tensor(inputs),
        attention_mask=torch.tensor((inputs != 0).astype(np.int64)),
        max_new_tokens=MAX_TOKENS,
        do_sample=False,
        **{"suppress_tokens": [0], **options},
    )
    tokens = tokens.numpy()[:, 1:]
    tokens = np.pad(tokens, ((0, 0), (0, MAX_TOKENS - tokens.shape[1])))
    has_ended = np.cumsum(tokens == 1, axis=1) - (tokens == 1) > 0
    return np.where(has_ended, 0, tokens)  # beam search pads with the end token where padding is 0


@pytest.fixture(scope="module")
def ours(member):
    checkpoint = open_hf(member[1], dtype="float32")
    return checkpoint, *load_params(checkpoint)


def shifted(targets):
    return np.pad(targets, ((0, 0), (1, 0)))[:, :-1]


def test_logits_loss_and_gradients(torch, member, ours):
    model, _, inputs = member
    checkpoint, graph, params = ours
    labels = np.where(TARGETS == 0, -100, TARGETS)
    model.zero_grad()
    output = model(
        input_ids=torch.tensor(inputs),
        attention_mask=torch.tensor((inputs != 0).astype(np.int64)),
        decoder_input_ids=torch.tensor(shifted(TARGETS)),
        labels=torch.tensor(labels),
    )
    output.loss.backward()
    segments = jnp.asarray((inputs != 0).astype(np.int32))
    feed = (
        jnp.asarray(inputs),
        segments,
        jnp.asarray(shifted(TARGETS)),
        jnp.ones(TARGETS.shape, int),
    )

    @jax.jit
    def loss_and_logits(params):
        logits = nnx.merge(graph, params)(*feed)
        nll, _, count = token_xent(logits, jnp.asarray(TARGETS), jnp.asarray(TARGETS != 0))
        return nll / count, logits

    (loss, logits), grads = jax.value_and_grad(loss_and_logits, has_aux=True)(params)
    np.testing.assert_allclose(logits, output.logits.detach().numpy(), atol=1e-4)
    assert abs(float(loss) - float(output.loss.detach())) < 1e-5
    theirs = dict(model.named_parameters())
    flat = {".".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(grads)}
    for name, their_name in hf_names(checkpoint.config).items():
        wanted = theirs[their_name].grad.numpy()
        wanted = wanted.T if wanted.ndim == 2 and wanted.shape != flat[name].shape else wanted
        if wanted.ndim == 2 and name.endswith("kernel"):
            wanted = theirs[their_name].grad.numpy().T
        error = np.linalg.norm(flat[name] - wanted) / np.linalg.norm(wanted)
        assert error < 1e-4, (name, error)


def test_greedy_tokens(torch, member, ours):
    model, _, inputs = member
    _, graph, params = ours
    generator = Generator(graph, params, forbidden=np.arange(96) == 0)
    requests = [Request(inputs=row[row != 0], seed=0, numbers=[0]) for row in inputs]
    drawn = generator.draw(requests, SamplingConfig(temperature=0.0, max_tokens=MAX_TOKENS))
    wanted = greedy_tokens(model, torch, inputs)
    for (text,), row in zip(drawn, wanted, strict=True):
        assert text.tokens.tolist() == row[: len(text.tokens)].tolist()
        assert len(set(text.tokens.tolist())) >= 10


def test_beam_tokens(torch, member, ours):
    model, _, inputs = member
    _, graph, params = ours
    beams = BeamConfig(num_beams=4, max_tokens=MAX_TOKENS, rule="transformers", length_penalty=1.0)
    segments = (inputs != 0).astype(np.int32)
    tokens, _ = make_beam_search(graph)(
        params, inputs.astype(np.int32), segments, np.zeros(96, bool), config=beams
    )
    wanted = greedy_tokens(model, torch, inputs, num_beams=4, num_return_sequences=4, **ALL_TOKENS)
    np.testing.assert_array_equal(np.asarray(tokens).reshape(-1, MAX_TOKENS), wanted)


def test_no_bit_changes_round_all_formats(member, tmp_path):
    _, folder, _ = member
    source = tmp_path / "source"
    shutil.copytree(folder, source)
    config = json.loads((source / "config.json").read_text())
    has_head = "lm_head.weight" in safetensors.numpy.load_file(source / "model.safetensors")
    if config["model_type"] == "umt5" and has_head:
        # as published; transformers 5 scales it all the same, which T5X cannot say
        config["tie_word_embeddings"] = False
        (source / "config.json").write_text(json.dumps(config))
    convert_model(str(source), tmp_path / "pe", to="pe")
    convert_model(str(tmp_path / "pe"), tmp_path / "t5x", to="t5x")
    convert_model(str(tmp_path / "t5x"), tmp_path / "orbax", to="t5x", t5x_form="orbax")
    convert_model(str(tmp_path / "orbax"), tmp_path / "hf", to="hf")
    before = safetensors.numpy.load_file(folder / "model.safetensors")
    after = safetensors.numpy.load_file(tmp_path / "hf/model.safetensors")
    assert sorted(before) == sorted(after)
    for name, array in before.items():
        assert after[name].dtype == array.dtype
        assert after[name].tobytes() == array.tobytes(), name
