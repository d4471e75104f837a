"""What the comparisons share: MNIST as it lies in data/mnist, timing, tables."""

import argparse
import gzip
import json
import os
import pathlib
import platform
import statistics
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORES = len(os.sched_getaffinity(0))


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--ours", type=pathlib.Path, help="output of `sphinx bench --json`")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    return parser.parse_args()


def mnist(part):
    """Images as float32 in [0, 1] of shape (n, 784), labels as int64; part is `train` or `t10k`."""
    def read(name, header):
        with gzip.open(ROOT / "data/mnist" / name) as file:
            return np.frombuffer(file.read(), dtype=np.uint8, offset=header)

    images = read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784)
    return images.astype(np.float32) / 255, read(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def seconds(step, repeats, warm_up=3):
    """Median wall time of `step()`, after some calls that warm up."""
    for _ in range(warm_up):
        step()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        step()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def ours(path):
    return json.loads(path.read_text()) if path else None


def report(options, title, columns, rows, settings):
    """Prints the rows as a table and keeps them with the settings that made them."""
    cells = [columns] + [[text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    print(f"\n{title} ({CORES} cores, {platform.machine()})")
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    for name, value in settings.items():
        print(f"{name}: {value}")
    if options.json:
        figures = {"title": title, "cores": CORES, "settings": settings, "rows": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def text(value):
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
