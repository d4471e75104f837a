"""What one step of `sphinx-mnist` costs in the dataflow of the Sphinx paper, by counting.

Tian et al., IEEE S&P 2022: the server multiplies ciphertexts of activations and of errors to per-sample
weight gradients and ships every one of them; the client decrypts, clips and noises. Its baseline
encrypts the weights too, so that every product is one of two ciphertexts. Operations and bytes are
counted per batch of one ciphertext's slots; their prices are measured here with SEAL (by TenSEAL) at
the smallest parameters that hold the product. Nothing here is a measurement of the authors' program;
their own figures stand beside it with their hardware.
"""

import numpy as np
import tenseal

import common

# Multiply-adds of a forward pass, and weights, of each linear layer, and scalars that enter and leave.
LAYERS = [
    # name, inputs, outputs, multiply-adds, weights
    ("conv 1→16, 5×5, 28×28", 784, 16 * 24 * 24, 16 * 24 * 24 * 25, 16 * 25),
    ("conv 16→16, 5×5, 12×12", 16 * 12 * 12, 16 * 8 * 8, 16 * 8 * 8 * 16 * 25, 16 * 16 * 25),
    ("dense 256→100", 256, 100, 25_600, 25_600),
    ("dense 100→10", 100, 10, 1_000, 1_000),
]


def counts():
    """Products, encryptions and decryptions of ciphertexts per step, in the three dataflows."""
    forward = sum(layer[3] for layer in LAYERS)
    backward = sum(layer[3] for layer in LAYERS[1:])
    weights = sum(layer[4] for layer in LAYERS)
    up = sum(layer[1] for layer in LAYERS) + sum(layer[2] for layer in LAYERS)
    down = sum(layer[2] for layer in LAYERS) + sum(layer[1] for layer in LAYERS[1:])
    return {
        "the paper's, counted": {
            "known × ciphertext": forward + backward, "ciphertext × ciphertext": forward,
            "encrypt": up, "decrypt": down + weights,
        },
        "its baseline, all encrypted, counted": {
            "known × ciphertext": 0, "ciphertext × ciphertext": 2 * forward + backward,
            "encrypt": up + weights, "decrypt": down + weights,
        },
        "Sphinx, counted": {
            "known × ciphertext": forward + backward, "ciphertext × ciphertext": 0,
            "encrypt": up, "decrypt": down,
        },
    }  # fmt: skip


def prices():
    """Seconds of each operation on one ciphertext of 4096 slots, and its bytes; N = 8192 for products."""
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=8192, coeff_mod_bit_sizes=[50, 40, 40, 50], n_threads=1
    )
    context.global_scale = 2**40
    # A sum of many products is relinearised and rescaled once, so that neither is part of their price.
    context.auto_relin = context.auto_rescale = False
    values = np.random.default_rng(1).uniform(-1, 1, 4096).tolist()
    a, b = tenseal.ckks_vector(context, values), tenseal.ckks_vector(context, values)
    priced = {
        "known × ciphertext": lambda: a * 0.37,
        "ciphertext × ciphertext": lambda: a * b,
        "encrypt": lambda: tenseal.ckks_vector(context, values),
        "decrypt": a.decrypt,
    }
    found = {name: common.seconds(work, 50) for name, work in priced.items()}
    return found, len(a.serialize()), 4096


def main():
    options = common.arguments(__doc__)
    price, size, slots = prices()
    rows = []
    for who, count in counts().items():
        row = {"who": who, **count}
        if not who.startswith("Sphinx"):
            work = sum(count[name] * price[name] for name in price)
            row["CPU ms per image"] = 1e3 * work / slots
            row["kB per image"] = (count["encrypt"] + count["decrypt"]) * size / slots / 1e3
        rows.append(row)
    if bench := common.ours(options.ours):
        figures = bench["train"]["sphinx-mnist"]
        rows[-1]["CPU ms per image"] = (
            figures["client_cpu_ms_per_image"] + figures["server_cpu_ms_per_image"]
        )
        rows[-1]["kB per image"] = (figures["bytes_up_per_image"] + figures["bytes_down_per_image"]) / 1e3
        rows[-1]["who"] = "Sphinx, counted; time and bytes measured"
    columns = ["who", "known × ciphertext", "ciphertext × ciphertext", "encrypt", "decrypt", "CPU ms per image", "kB per image"]
    settings = {
        "prices, ms": {name: round(1e3 * value, 4) for name, value in price.items()},
        "their figures": "780 ms and 18.3 MB per image and step; baseline 35 times that time; 2 × 40 cores (Xeon E5-2683 v4), 10 Gbps",
        "parameters": f"CKKS, N = 8192, coefficients of 50, 40, 40, 50 bits, {size} bytes per ciphertext of {slots} slots",
    }
    common.report(options, "One step of sphinx-mnist in three dataflows, per image", columns, rows, settings)


if __name__ == "__main__":
    main()
