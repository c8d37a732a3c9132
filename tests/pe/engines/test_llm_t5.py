"""T5 as a language model: the tokens of `transformers` for the real few-shot requests."""

import asyncio

import numpy as np
import pytest

from data_builders.query_request import FIELD, LlmQueryConfig, make_kind_requests
from pe.data.tokenizer import VocabularyConfig, train_vocabulary
from pe.engines.engine_error import RequestError
from pe.engines.llm import LlmConfig, LlmRequest
from pe.engines.llm_session import LlmSession, make_llm
from pe.engines.llm_t5 import T5Llm
from tests.pe.engines.test_llm import make_request

MAX_TOKENS = 24
PROMPT = "a small red boat near the old town at night, oil painting, warm light, very detailed"


def kind_requests(**changes) -> list[LlmRequest]:
    values = {"text": PROMPT, "temperature": 0.0, "max_tokens": MAX_TOKENS} | changes
    return [
        LlmRequest(conversation=request.conversation, asked=request.asked, answered=FIELD, **values)
        for request in make_kind_requests(LlmQueryConfig()).values()
    ]


def answer_all(llm: T5Llm, requests: list[LlmRequest]) -> list[str]:
    with LlmSession(llm, llm.config) as session:
        return [found.text for found in session.map(session.complete, requests)]


@pytest.fixture(scope="module")
def folder(run_folder):
    return str(run_folder)


@pytest.mark.slow
def test_an_answer_depends_on_its_request_alone(folder):
    requests = [
        make_request(f"a red boat number {i}", temperature=1.0, seed=i, max_tokens=8 + i % 2)
        for i in range(5)
    ]
    config = LlmConfig(model=folder, batch_rows=2)
    together = answer_all(make_llm(config), requests)
    alone = [answer_all(make_llm(config), [request])[0] for request in requests[::2]]
    assert together[::2] == alone
    assert len(set(together)) > 1


def test_usage_counts_requests_and_tokens(folder):
    llm = T5Llm(LlmConfig(model=folder))
    with LlmSession(llm, llm.config) as session:
        (found,) = session.map(session.complete, [make_request("a red boat")])
    assert llm.usage.num_requests == 1
    assert llm.usage.num_tokens == found.num_tokens > found.num_new_tokens > 0


def test_a_request_that_cannot_be_read_is_that_rows_failure(folder):
    llm = T5Llm(LlmConfig(model=folder))
    with LlmSession(llm, llm.config) as session, pytest.raises(RequestError, match="too_long"):
        session.map(session.complete, [make_request("word " * 3000)])


def test_a_model_that_is_not_there_is_told(tmp_path):
    llm = T5Llm(LlmConfig(model=str(tmp_path / "none")))
    with pytest.raises(ValueError, match="none"):
        LlmSession(llm, llm.config)


@pytest.mark.torch
@pytest.mark.slow
def test_the_tokens_are_those_of_transformers(torch, transformers, tmp_path):
    requests = kind_requests()
    texts = [line for r in requests for line in r.plain_text().splitlines()]
    vocabulary = train_vocabulary(texts, VocabularyConfig(size=1500))
    config = transformers.T5Config(
        vocab_size=1536, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2,
        num_heads=4, dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(3)
    model = transformers.T5ForConditionalGeneration(config).eval()
    for name, parameter in model.named_parameters():
        scale = 0.2 if name.endswith((".q.weight", ".k.weight")) else 0.5
        if parameter.ndim == 1:
            parameter.data.normal_(1.0, 0.2)
        else:
            parameter.data.normal_(0.0, 1.0 if "bias" in name or "lm_head" in name else scale)
    model.save_pretrained(tmp_path)
    (tmp_path / "spiece.model").write_bytes(vocabulary.model_bytes)
    llm = T5Llm(LlmConfig(model=str(tmp_path), batch_rows=3))
    tokens: dict[str, np.ndarray] = {}
    with LlmSession(llm, llm.config) as session:
        forbidden = np.flatnonzero(llm._model.forbidden()).tolist()
        answers = session.map(session.complete, requests)
        for request in requests:
            tokens[request.conversation.task] = llm.encode(request)
    varied = 0
    for request, answer in zip(requests, answers, strict=True):
        ids = tokens[request.conversation.task]
        assert len(ids) > 200  # the real request, with all its examples
        with torch.no_grad():
            found = model.generate(
                torch.as_tensor(ids[None].astype(np.int64)), do_sample=False, num_beams=1,
                max_new_tokens=MAX_TOKENS, suppress_tokens=forbidden,
            )[0, 1:].tolist()  # fmt: skip
        text = vocabulary.decode([i for i in found if i > 1]).strip()
        assert answer.text == text
        assert answer.num_new_tokens == len(found)
        varied += len(set(found)) >= 5
    assert varied >= 3


@pytest.mark.slow
def test_requests_wait_for_each_other_only_shortly(folder):
    async def run() -> int:
        llm = T5Llm(LlmConfig(model=folder, batch_rows=4))
        await llm.open()
        try:
            found = await asyncio.gather(
                *(llm.complete(make_request(f"boat {i}", max_tokens=4)) for i in range(9))
            )
        finally:
            await llm.close()
        return len(found)

    assert asyncio.run(run()) == 9
