#!/usr/bin/env python3
"""Frame age with four viewers of the preview against none, in turns.

    device/bench/preview.py target/release/honed [--size 1280x720] [--frames 450] [--rounds 3]

Every round runs `honed` twice: alone, and with viewers that read the pair of pictures as fast as it
comes. Prints the age's p50 and p99 of each run, and the ratio of the medians over the rounds.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time


def watch(port, token, over, seen):
    while not over.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as viewer:
                request = f"GET /api/v1/preview?view=pair HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                viewer.sendall(request.encode())
                while not over.is_set():
                    data = viewer.recv(1 << 16)
                    if not data:
                        break
                    seen.append(data.count(b"X-Hone-View: after"))
        except OSError:
            time.sleep(0.1)


def run(arguments, viewers):
    with tempfile.TemporaryDirectory() as folder:
        token = subprocess.run(
            [arguments.honed, "token", "create", "bench", "--folder", folder],
            check=True, capture_output=True, text=True).stdout.strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        over, seen = threading.Event(), []
        threads = [threading.Thread(target=watch, args=(port, token, over, seen)) for _ in range(viewers)]
        command = [
            arguments.honed, "run", "--source", "test", "--size", arguments.size, "--fps", "30", "--sink", "null",
            "--frames", str(arguments.frames), "--json", "--page", f"127.0.0.1:{port}", "--page-folder", folder,
            "--level", arguments.level]
        for thread in threads:
            thread.start()
        process = None
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            report, said = process.communicate()
        finally:
            # The viewers would hold up the end, and so would a honed that nobody reads any longer.
            over.set()
            if process:
                process.kill()
            for thread in threads:
                thread.join()
        if process.returncode != 0:
            sys.exit(f"honed failed with {viewers} viewers: {said.strip()}")
        return json.loads(report), sum(seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("honed")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--level", default="small")
    parser.add_argument("--frames", type=int, default=450)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    p99 = {0: [], 4: []}
    print("viewers    fps  p50 ms  p99 ms  dropped  pictures seen")
    for _ in range(arguments.rounds):
        for viewers, found in p99.items():
            report, seen = run(arguments, viewers)
            age = report["age_ms"]
            found.append(age["p99"])
            print(f"{viewers:7} {report['fps']:6.2f} {age['p50']:7.2f} {age['p99']:7.2f} {report['dropped']:8} {seen:14}")
    ratio = statistics.median(p99[4]) / statistics.median(p99[0])
    print(f"median p99 with four viewers / with none: {ratio:.3f}")


if __name__ == "__main__":
    main()
