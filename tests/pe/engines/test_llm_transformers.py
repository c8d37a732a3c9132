"""A real server: `transformers serve` with a tiny model of random weights, asked by ours."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from data_builders.main import BuildConfig, build
from data_builders.query_request import LlmQueryConfig
from pe.engines.llm import Completion, LlmConfig
from pe.engines.llm_session import LlmSession, make_llm
from tests.pe.engines.test_llm import make_request

pytestmark = [pytest.mark.torch, pytest.mark.slow]

OPEN_SECS = 90
SERVE = """
import sys

import torch

library = torch.library.Library("torchvision", "FRAGMENT")  # as the fixture `transformers` does
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from transformers.cli.transformers import main

sys.argv[0] = "transformers"
main()
"""
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


def write_model(folder: Path, torch, transformers) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(["<pad>", "<end>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=8192, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def server(torch, transformers, tmp_path_factory):
    """(address, model's name); the server is ended with the test."""
    folder = tmp_path_factory.mktemp("served")
    write_model(folder / "tiny", torch, transformers)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", str(folder / "tiny"), *flags],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield url, str(folder / "tiny")
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + OPEN_SECS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"the server did not come up:\n{log.read_text()[-3000:]}")


def test_a_real_server_answers_with_text_and_usage(server):
    url, name = server
    config = LlmConfig(url=url, model=name, max_tokens=12, concurrency=2)
    requests = [make_request(f"a red fox {i}", temperature=0.0) for i in range(3)]
    with LlmSession(make_llm(config), config) as session:
        found = session.map(session.complete, [*requests, requests[0]])
        usage = session.llm.usage
    assert all(isinstance(completion, Completion) for completion in found)
    assert found[3] == found[0]
    assert usage.num_requests == 3 + usage.failures.total()
    shortest = min(len(json.dumps(request.messages())) for request in requests) // 2
    assert all(completion.num_prompt_tokens > shortest for completion in found)
    assert all(0 < completion.num_new_tokens <= 16 for completion in found)


def test_a_build_over_a_real_server_takes_no_babble_for_a_query_and_says_why(server, tmp_path):
    url, name = server
    source = tmp_path / "prompts.jsonl"
    texts = (
        "a red fox sleeping in deep snow, oil painting",
        "two robots playing chess on a rooftop, low poly",
    )
    source.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    config = BuildConfig(
        llm=LlmConfig(url=url, model=name, max_tokens=8, temperature=0.0),
        llm_queries=LlmQueryConfig(kinds=("short", "medium"), max_answers=2),
    )
    with pytest.raises(ValueError, match=r"not one pair came of its rows .*queries: \{"):
        build(source, tmp_path / "out", config)
    (folder,) = (tmp_path / "out" / "stages").glob("queries-*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["num_in"], manifest["num_dropped"]) == (4, 4)
    assert sum(manifest["reasons"].values()) == 4
