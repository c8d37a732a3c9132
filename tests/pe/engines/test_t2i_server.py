"""Pictures of a server: faults are tried again or told, a budget holds over runs, keys are kept."""

import asyncio
import base64
import http.server
import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pe.engines.engine_error import RequestError, UnavailableError
from pe.engines.t2i import T2iConfig, picture_key, picture_seed
from pe.engines.t2i_server import ServerImageModel
from tests.pe.engines.test_llm_server import with_server


def encode(color: tuple[int, int, int], form: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, format=form)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


RED = {"data": [{"b64_json": encode((255, 0, 0))}]}


def draw(answer, prompts=("a red fox",), *, sent_log=None, **settings: Any):
    """Draw by a server that gives `answer(body, number)`; returns (pictures or error, Seen)."""
    said: list[str] = []

    def run(url: str) -> Any:
        values = {"backoff_secs": 0.001, "timeout_secs": 5.0, "max_tries": 4, **settings}
        config = T2iConfig(model="m", url=url, **values)
        try:
            model = ServerImageModel(config, sent_log=sent_log, say=said.append)
        except UnavailableError as error:
            return error
        try:
            return model.render(list(prompts), list(range(len(prompts))))
        except UnavailableError as error:
            return error
        finally:
            model.close()

    results = []

    async def use(url: str) -> None:
        results.append(await asyncio.to_thread(run, url))

    seen = asyncio.run(with_server(answer, use))
    seen.said = said
    return results[0], seen


def test_a_prompt_is_sent_with_seed_and_size_and_its_picture_is_decoded():
    pictures, seen = draw(lambda body, _: (200, RED), ["a red fox", "a barn"], size_px=64)
    assert [np.asarray(picture)[0, 0].tolist() for picture in pictures] == [[255, 0, 0]] * 2
    bodies = sorted(seen.bodies, key=lambda body: body["seed"])
    assert bodies[1] == {
        "model": "m", "prompt": "a barn", "n": 1, "size": "64x64", "seed": 1,
        "response_format": "b64_json",
    }  # fmt: skip


def test_pictures_stand_where_their_prompts_do_however_late_they_come():
    colors = {f"p{i}": (i * 20, 0, 255 - i * 20) for i in range(12)}

    def answer(body, number):
        if number % 5 == 2:
            return (503, {}, {"Retry-After": "0"})
        return 200, {"data": [{"b64_json": encode(colors[body["prompt"]])}]}

    pictures, _ = draw(answer, list(colors))
    found = [tuple(np.asarray(picture)[5, 5].tolist()) for picture in pictures]
    assert found == list(colors.values())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((500, {}), "status_500"),
        ((429, {}), "status_429"),
        ((200, "no json"), "garbage"),
        ((200, {"data": []}), "garbage"),
        ((200, {"data": [{"b64_json": "!!"}]}), "garbage"),
        ((200, {"data": [{"url": "file:///etc/passwd"}]}), "garbage"),
        (None, "cut_connection"),
    ],
)
def test_a_try_that_fails_is_made_again_and_what_stays_bad_is_told(bad, reason):
    pictures, seen = draw(lambda body, number: bad if number < 3 else (200, RED))
    assert isinstance(pictures[0], Image.Image)
    assert len(seen.bodies) == 3
    prompts = ["bad", "good"]
    found, _ = draw(lambda body, _: bad if body["prompt"] == "bad" else (200, RED), prompts)
    assert isinstance(found[0], RequestError)
    assert found[0].reason == reason
    assert isinstance(found[1], Image.Image)


def test_bytes_that_are_no_picture_cost_that_picture_alone():
    junk = base64.b64encode(b"<html>no</html>").decode("ascii")

    def answer(body, _):
        return 200, {"data": [{"b64_json": junk}]} if body["prompt"] == "bad" else RED

    found, _ = draw(answer, ["bad", "good"])
    assert found[0].reason == "picture_no_image"
    assert isinstance(found[1], Image.Image)


def test_a_prompt_that_is_refused_costs_itself_once_the_server_has_answered():
    def answer(body, _):
        if body["prompt"] == "refused":
            return 400, {"error": {"code": "content_policy_violation"}}
        return 200, RED

    found, _ = draw(answer, ["good", "refused"], concurrency=1)
    assert isinstance(found[0], Image.Image)
    assert found[1].reason == "status_400"


def test_what_a_server_does_not_know_is_left_out_and_said_once():
    def answer(body, _):
        for name in ("response_format", "seed"):
            if name in body:
                return 400, {"error": {"message": f"Unknown parameter: {name}"}}
        return 200, {"data": [{"url": f"data:image/png;base64,{encode((0, 0, 255))}"}]}

    found, seen = draw(answer, max_tries=6)
    assert np.asarray(found[0])[0, 0].tolist() == [0, 0, 255]
    assert set(seen.bodies[-1]) == {"model", "prompt", "n"}
    assert [line.split(": ")[0] for line in seen.said] == [
        "m does not know response_format",
        "m does not know seed",
    ]


def test_a_picture_at_an_address_is_fetched_without_the_key(monkeypatch):
    heads = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heads.append(dict(self.headers))
            is_there = self.path == "/there.png"
            self.send_response(200 if is_there else 404)
            self.end_headers()
            if is_there:
                self.wfile.write(base64.b64decode(encode((0, 255, 0))))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    try:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        found, seen = draw(
            lambda body, _: (200, {"data": [{"url": f"{base}/{body['prompt']}.png"}]}),
            ["there", "gone"],
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert np.asarray(found[0])[0, 0].tolist() == [0, 255, 0]
    assert found[1].reason == "picture_status_404"
    assert all("Bearer sk-secret" in head for head in seen.heads)
    assert len(heads) == 2
    assert not any("Authorization" in head for head in heads)


def test_a_budget_holds_over_runs_and_counts_tries_that_failed(tmp_path):
    log = tmp_path / "pictures" / "sent.log"

    def answer(body, number):
        return (500, {}) if number == 1 else (200, RED)

    found, _ = draw(answer, ["a", "b"], sent_log=log, budget_requests=3, concurrency=1)
    assert [type(picture) for picture in found] == [Image.Image] * 2
    assert log.stat().st_size == 3
    error, seen = draw(answer, ["c"], sent_log=log, budget_requests=3)
    assert isinstance(error, UnavailableError)
    assert "the budget of 3 requests is spent" in str(error)
    assert not seen.bodies


def test_a_server_that_is_not_there_or_refuses_the_key_ends_the_run(monkeypatch):
    with pytest.raises(UnavailableError, match=r"no server answers .* check T2iConfig.url"):
        ServerImageModel(T2iConfig(model="m", url="http://127.0.0.1:9/v1"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    error, _ = draw(lambda body, _: (401, {"error": "bad key sk-secret"}))
    assert isinstance(error, UnavailableError)
    assert "OPENAI_API_KEY" in str(error)
    assert "sk-secret" not in str(error)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ""}, "model: expected studio, a folder or a name, got none"),
        ({"dtype": "int8"}, "dtype: got 'int8', expected one of"),
        ({"url": "ftp://h"}, "url: got 'ftp://h', expected an address"),
        ({"size_px": 8}, "size_px: got 8, expected 64 to 4096"),
        ({"batch_images": 0}, "batch_images: got 0, expected 1 or more"),
        ({"num_steps": 0}, "num_steps: got 0, expected 1 or more, or None"),
        ({"timeout_secs": 0.0}, "timeout_secs: got 0.0, expected above 0"),
        ({"backoff_secs": -1.0}, "backoff_secs: got -1.0, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        T2iConfig(**settings)


def test_keys_and_seeds_depend_on_all_that_they_name():
    keys = {picture_key(m, p, s) for m in ("a", "b") for p in ("x", "y") for s in (0, 1)}
    assert len(keys) == 8
    seeds = {picture_seed(s, q, n) for s in (0, 1) for q in ("x", "y") for n in range(3)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert picture_seed(0, "x", 1) == picture_seed(0, "x", 1)
