"""What the engine `server`'s client costs beside openai's: python benchmarks/client_cost.py [IN_FLIGHT TOKENS GAP_MS]

A process sends events of one token, shaped as vLLM's with token_ids and usage, to so many requests in flight at once:
as fast as they are taken, or with GAP_MS one to each request every so many milliseconds, as a model would. Printed for
each client: events a second, and the CPU time of its process for each event; of ours, for how much of its time it did
not wait for the server.
"""

import asyncio
import json
import subprocess
import sys
import time

SERVER = """
import asyncio, sys, time

HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n"
EVENT = ('data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" a",'
         '"logprobs":null,"finish_reason":%s,"token_ids":[7]}],'
         '"usage":{"prompt_tokens":3,"completion_tokens":%d,"total_tokens":%d}}\\n\\n')

def length(head):
    lines = head.lower().split(b"\\r\\n")
    return next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))

async def answer(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            return writer.close()
        await reader.readexactly(length(head))
        writer.write(HEAD)
        tokens, gap_s, began_s = int(sys.argv[1]), float(sys.argv[2]) / 1e3, time.monotonic()
        for made in range(1, tokens + 1):
            event = (EVENT % ('"length"' if made == tokens else "null", made, made + 3)).encode()
            writer.write(b"%x\\r\\n%s\\r\\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(max(0, began_s + made * gap_s - time.monotonic()) if gap_s else 0)
        writer.write(b"e\\r\\ndata: [DONE]\\n\\n\\r\\n0\\r\\n\\r\\n")

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def ours(address: str, in_flight: int, tokens: int) -> int:
    from joulebench.engines.server_client import Client
    from joulebench.engines.server_stream import Ask
    from joulebench.engines.server_ticks import Ticks

    began = time.monotonic()
    client = Client(address, "/v1/completions", None, None, 60.0)
    body = json.dumps({"model": "m", "prompt": [1, 2, 3], "stream": True}).encode()
    for request in range(in_flight):
        client.submit(Ask(request, body, "m", tokens, True, 3))
    ended, found, ticks = 0, 0, Ticks()
    while ended < in_flight:
        for one in ticks.next(client.arrivals, 60.0):
            found += one.tokens
            if one.ended:
                assert one.ask.why is None, one.ask.why
                ended += 1
    print(f"  of its time it did not wait for {100 * client.busy_s() / (time.monotonic() - began):.0f} %")
    client.close()
    return found


def openais(address: str, in_flight: int, tokens: int) -> int:
    from openai import AsyncOpenAI

    async def one(client: AsyncOpenAI) -> int:
        found = 0
        how = {"extra_body": {"return_token_ids": True}}
        async for chunk in await client.completions.create(model="m", prompt=[1, 2, 3], stream=True, **how):  # type: ignore[call-overload]
            found += len(chunk.choices[0].token_ids)
        return found

    async def all_of_them() -> int:
        async with AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            return sum(await asyncio.gather(*(one(client) for _ in range(in_flight))))

    return asyncio.run(all_of_them())


def main(in_flight: int = 64, tokens: int = 200, gap_ms: int = 0) -> None:
    command = [sys.executable, "-c", SERVER, str(tokens), str(gap_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = f"http://127.0.0.1:{int(server.stdout.readline())}"
    try:
        for name, client in (("ours", ours), ("openai", openais)):
            client(address, 1, tokens)  # imports and first calls
            for _ in range(3):
                began, cpu = time.monotonic(), time.process_time()
                events = client(address, in_flight, tokens)
                lasted, used = time.monotonic() - began, time.process_time() - cpu
                print(f"{name}: {events / lasted:,.0f} events/s, {1e6 * used / events:.0f} us of CPU an event")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
