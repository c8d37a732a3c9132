"""A stand-in for an OpenAI-compatible server: answers after a delay, fails as it is told to.

It answers {"prompt": "a b c d e"} with the first words of the prompt, as many as the request asks
for, or with what --answers FILE ({prompt: answer}) says. A share of the requests fails, in turn by
status 500, status 429 with Retry-After, no answer in time, a cut connection, and garbage. GET
/stats tells what came. Listens on the loopback address; prints its port, and ends with its parent.

  python tools/llm_stub.py --delay_secs 0.05 --fail_rate 0.2
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import re
import sys
from pathlib import Path
from typing import Any

FAULTS = ("status_500", "status_429", "timeout", "cut", "garbage")
_WORDS = re.compile(r"It has (\d+) to (\d+) words")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)


class Stub:
    """The server's state: what it is told to do, and what it has seen."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.random = random.Random(args.seed)
        self.answers = json.loads(args.answers.read_text()) if args.answers else {}
        self.faults: collections.Counter[str] = collections.Counter()
        self.asked: collections.Counter[tuple[str, int]] = collections.Counter()
        self.num_posts = self.num_now = self.most_now = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                body = await reader.readexactly(int(found[1])) if found else b""
                if head.startswith(b"GET "):
                    status, content = self.tell(head)
                    writer.write(format_answer(status, content))
                    continue
                self.num_posts += 1
                self.num_now += 1
                self.most_now = max(self.most_now, self.num_now)
                try:
                    goes_on = await self.answer(json.loads(body), writer)
                finally:
                    self.num_now -= 1
                if not goes_on:
                    break
        writer.close()

    def tell(self, head: bytes) -> tuple[str, dict[str, Any]]:
        """Answer a GET."""
        if not head.startswith(b"GET /stats "):
            return "404 Not Found", {}
        stats = {"posts": self.num_posts, "faults": self.faults, "most_at_once": self.most_now}
        asked = {"distinct": len(self.asked), "repeated": sum(n > 1 for n in self.asked.values())}
        return "200 OK", stats | asked

    async def answer(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Answer a POST; return whether the connection goes on."""
        fault = ""
        if self.random.random() < self.args.fail_rate:
            fault = FAULTS[self.faults.total() % len(FAULTS)]
            self.faults[fault] += 1
        await asyncio.sleep(self.args.hang_secs if fault == "timeout" else self.args.delay_secs)
        if fault in ("cut", "timeout"):
            if fault == "cut":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
            return False
        if fault.startswith("status"):
            more = f"Retry-After: {self.args.retry_after}\r\n" if fault == "status_429" else ""
            writer.write(format_answer(f"{fault[-3:]} Fault", {"error": "told to"}, more))
            return True
        if fault == "garbage":
            writer.write(format_answer("200 OK", {"choices": "garbage"}))
            return True
        system, asked = body["messages"][0]["content"], body["messages"][-1]["content"]
        self.asked[asked, body.get("seed", 0)] += 1
        text = next(iter(json.loads(asked).values()))
        if text in self.answers:
            query = self.answers[text]
        else:
            words = text.replace(",", "").split()
            found = _WORDS.search(system)
            fewest, most = (int(found[1]), int(found[2])) if found else (1, 8)
            query = " ".join(words[: max(fewest, min(most, len(words) - 2))])
        schema = body.get("response_format", {}).get("json_schema", {})
        content = json.dumps({schema.get("name", "query"): query})
        usage = {"prompt_tokens": len(system) // 4, "completion_tokens": len(content) // 4}
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        writer.write(format_answer("200 OK", {"choices": [choice], "usage": usage}))
        return True


def format_answer(status: str, content: dict[str, Any], more: str = "") -> bytes:
    """Write an HTTP answer."""
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def run(args: argparse.Namespace) -> None:
    """Serve until the parent process is gone."""
    server = await asyncio.start_server(Stub(args).serve, "127.0.0.1", args.port)
    print(server.sockets[0].getsockname()[1], flush=True)
    parent = os.getppid()
    async with server:
        while os.getppid() == parent:
            await asyncio.sleep(0.5)


def main() -> int:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--delay_secs", type=float, default=0.0)
    parser.add_argument("--fail_rate", type=float, default=0.0)
    parser.add_argument("--hang_secs", type=float, default=30.0, help="of a fault 'timeout'")
    parser.add_argument("--retry_after", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--answers", type=Path, help="JSON: {prompt: query}")
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
