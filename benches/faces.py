"""Images per second of a training by the command, by Python and by the studio, one after the other.

    pip install dist/sphinx_client-*.whl
    python benches/faces.py --program target/release/sphinx [--network sphinx-mnist] [--rounds 3]

All three train the same network on the same images at the same services, on models of their own; each
round has all of them in another order. The command and Python tell images and seconds themselves; of the
studio the steps' events are timed, as a page gets them. Prints a table, and JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

import sphinx_client

# Of MNIST's training half.
IMAGES = 60_000


def command(cluster: sphinx_client.LocalCluster, arguments: argparse.Namespace, model: str, home: str) -> float:
    addresses = ["--trainer", cluster.trainer, "--inference", cluster.inference, "--keyvault", cluster.keyvault]

    def run(*words: str) -> str:
        line = [arguments.program, *words, "--json", "--home", home, *addresses]
        return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout

    run("keys", "new", "--id", f"key-of-{model}")
    run("keys", "register")
    summary = json.loads(
        run("train", "--network", arguments.network, "--model", model, "--epsilon", "8",
            "--epochs", str(arguments.epochs))
    )
    return summary["images"] / summary["seconds"]


def python(cluster: sphinx_client.LocalCluster, arguments: argparse.Namespace, model: str, home: str) -> float:
    (images, labels), _ = sphinx_client.load_mnist()
    with_home = cluster.client(home)
    history = with_home.train(model, images, labels, network=arguments.network, epsilon=8, epochs=arguments.epochs)
    return history.images_per_second


class Studio:
    """A studio, and a browser that only reads."""

    def __init__(self, program: str, cluster: sphinx_client.LocalCluster, home: str) -> None:
        addresses = ["--trainer", cluster.trainer, "--inference", cluster.inference, "--keyvault", cluster.keyvault]
        self.process = subprocess.Popen(
            [program, "studio", "--json", "--home", home, *addresses], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if "token=" in line)
        address = next(part for part in line.split('"') if part.startswith("http"))
        self.address = urllib.parse.urlsplit(address)
        answer = self.ask("GET", f"/?{self.address.query}")
        self.cookie = answer.getheader("set-cookie", "").split(";")[0]

    def ask(self, method: str, path: str, body: object = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.address.netloc, timeout=600)
        headers = {"Origin": f"http://{self.address.netloc}", "Content-Type": "application/json"}
        if hasattr(self, "cookie"):
            headers["Cookie"] = self.cookie
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection.getresponse()

    def train(self, order: dict[str, str]) -> float:
        """Expected images of all steps but the first, by the time between their events."""
        started = self.ask("POST", "/train", order)
        assert started.status == 200, started.read()
        times: list[float] = []
        name = ""
        for line in self.ask("GET", "/runs/1/events"):
            text = line.decode().strip()
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: ") and name == "step":
                times.append(time.perf_counter())
            elif text.startswith("data: ") and name == "end":
                assert json.loads(text.removeprefix("data: "))["state"] == "done", text
        steps = len(times)
        return IMAGES * float(order["epochs"]) * (steps - 1) / steps / (times[-1] - times[0])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def studio(cluster: sphinx_client.LocalCluster, arguments: argparse.Namespace, model: str, home: str) -> float:
    opened = Studio(arguments.program, cluster, home)
    try:
        return opened.train({
            "set": "mnist", "network": arguments.network, "model": model, "epsilon": "8",
            "epochs": str(arguments.epochs),
        })
    finally:
        opened.close()


FACES = {"command": command, "python": python, "studio": studio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/sphinx")
    parser.add_argument("--network", default="sphinx-mnist")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    measured: dict[str, list[float]] = {face: [] for face in FACES}
    with tempfile.TemporaryDirectory() as folder, sphinx_client.local_cluster(arguments.program) as cluster:
        for number in range(arguments.rounds):
            order = list(FACES)
            for face in order[number % 3:] + order[:number % 3]:
                home = str(Path(folder, f"{face}-{number}"))
                measured[face].append(FACES[face](cluster, arguments, f"{face}-{number}", home))
    medians = {face: statistics.median(rates) for face, rates in measured.items()}
    print(f"{'face':<10}{'images/s':>10}{'of the command':>16}   rounds")
    for face, rates in measured.items():
        rounds = " ".join(f"{rate:.0f}" for rate in rates)
        print(f"{face:<10}{medians[face]:>10.0f}{medians[face] / medians['command']:>15.1%}   {rounds}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"network": arguments.network, "images_per_second": measured}, indent=2))


if __name__ == "__main__":
    main()
