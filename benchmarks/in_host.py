"""How long a running WebUI takes from the click to the first step, and how much memory it takes beside the model.

    python -m benchmarks.in_host [http://127.0.0.1:7860] [RUNS]

Asks Trainyard's routes in that WebUI as its page does: a run of iLECO of one step at 64 pixels, on the model that is
loaded. The first run is not counted: the host may have to load its model then. Memory is the process's own (not that
of mapped files), looked at until the first step begins; it is only known for a WebUI on this machine, under Linux.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

SETTINGS: dict[str, Any] = {
    "mode": "iLECO", "original_prompt": "red", "target_prompt": "blue", "image_size": 64, "network_rank": 4,
    "train_iterations": 1, "effect_strip": False, "save_overwrite": True,
}  # fmt: skip
EVERY = 0.005
PATIENCE = 600.0


class Host:
    """A WebUI with Trainyard in it."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        found = re.search(r'data-token=\\"([^"\\]+)', self._read("/config"))
        if not found:
            raise SystemExit(f"Trainyard's tab is not in the page of {address}")
        self._token = found[1]

    def get(self, path: str) -> Any:
        return json.loads(self._read(f"/trainyard/v1{path}"))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return json.loads(self._read(f"/trainyard/v1{path}", json.dumps(body).encode()))

    def _read(self, path: str, body: bytes | None = None) -> str:
        headers = {"Content-Type": "application/json", "X-Trainyard-Token": getattr(self, "_token", "")}
        with urlopen(Request(self.address + path, body, headers), timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
            return text


class Memory:
    """What a process holds of its own, in bytes."""

    def __init__(self, port: int) -> None:
        self._status = next((Path(f"/proc/{number}/status") for number in _listening_on(port)), None)

    def now(self) -> int:
        if self._status is None:
            return 0
        kilobytes = re.search(r"RssAnon:\s+(\d+)", self._status.read_text())
        return int(kilobytes[1]) * 1024 if kilobytes else 0


def _listening_on(port: int) -> list[int]:
    import psutil

    found = psutil.net_connections(kind="tcp")
    return [each.pid for each in found if each.status == "LISTEN" and each.laddr.port == port and each.pid]


def measure(host: Host, memory: Memory) -> dict[str, float]:
    """Seconds of each phase before the first step, and bytes; the run is over when this returns."""
    before = peak = memory.now()
    phases: dict[str, float] = {}
    first = 0.0
    begin = last = time.perf_counter()
    entry = host.post("/jobs", {**SETTINGS, "save_lora_name": "benchmark"})
    host.post(f"/jobs/{entry['id']}/run", {})
    run: dict[str, Any] = {}
    while time.perf_counter() - begin < PATIENCE and run.get("state", "running") == "running":
        time.sleep(EVERY)
        found = host.get("/status")["run"]
        now = time.perf_counter()
        if found is None or found["job"]["id"] != entry["id"]:
            continue
        if not first:
            phase = run.get("phase") or "starting"
            phases[phase] = phases.get(phase, 0.0) + now - last
            last = now
            peak = max(peak, memory.now())
            if found["phase"] == "training":
                first = now - begin
        run = found
    while host.get("/status")["running"]:  # the queue still has to hear of it
        time.sleep(EVERY)
    host.post(f"/jobs/{entry['id']}/delete", {})
    if run["state"] != "done":
        raise SystemExit(f"the run did not end well: {run['message'] or run['state']}")
    return {"first step begins after": first, "memory": peak - before, **phases}


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    host, memory = Host(address), Memory(urlsplit(address).port or 80)
    measure(host, memory)
    found = [measure(host, memory) for _ in range(runs)]
    print(f"{address}, {runs} runs: median, worst")
    for name in dict.fromkeys(name for each in found for name in each):
        values = [each.get(name, 0.0) for each in found]
        scale, unit = (2**-20, "MiB") if name == "memory" else (1.0, "s")
        print(f"  {name:24}{statistics.median(values) * scale:9.2f}{max(values) * scale:9.2f} {unit}")


if __name__ == "__main__":
    main()
