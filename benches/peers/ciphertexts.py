"""Encrypting, decrypting, and ciphertext times known weight: TenSEAL (Microsoft SEAL) and Sphinx.

Both at 128 bits of security or more by their own estimates. TenSEAL gets the smallest parameters that
hold one product, in both of its schemes; figures are per slot, one thread, as a layer would use them.
"""

import numpy as np
import tenseal

import common

REPEATS = 200


def bfv():
    """Integers: 4096 slots modulo a prime of 20 bits, SEAL's own default coefficients (109 bits)."""
    context = tenseal.context(
        tenseal.SCHEME_TYPE.BFV, poly_modulus_degree=4096, plain_modulus=1032193, n_threads=1
    )
    values = np.random.default_rng(1).integers(-128, 128, 4096).tolist()
    encrypt = lambda: tenseal.bfv_vector(context, values)
    weight = [3] * 4096
    return "TenSEAL, BFV", 4096, encrypt, weight


def ckks():
    """Fixed point: 2048 slots, 36 + 36 + 37 bits of coefficients, one product of 30 bits' scale."""
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=4096, coeff_mod_bit_sizes=[39, 30, 39], n_threads=1
    )
    context.global_scale = 2**30
    values = np.random.default_rng(1).uniform(-1, 1, 2048).tolist()
    encrypt = lambda: tenseal.ckks_vector(context, values)
    return "TenSEAL, CKKS", 2048, encrypt, 0.37


def measured(name, slots, encrypt, weight):
    vector = encrypt()
    other = encrypt() * weight
    product = lambda: vector * weight
    add = lambda: other + other
    nano = lambda work: 1e9 * common.seconds(work, REPEATS) / slots
    return {
        "who": name,
        "slots": slots,
        "encrypt ns": nano(encrypt),
        "decrypt ns": nano(vector.decrypt),
        "multiply-add ns": nano(product) + nano(add),
        "bytes up": len(vector.serialize()) / slots,
        "bytes down": len((vector * weight).serialize()) / slots,
    }


def main():
    options = common.arguments(__doc__)
    rows = [measured(*scheme()) for scheme in (bfv, ckks)]
    if bench := common.ours(options.ours):
        he = bench["he"]
        rows.append({
            "who": "Sphinx, modulo 2^32",
            "slots": 2048,
            "encrypt ns": 1e3 * he["encrypt_us"] / 2048,
            "decrypt ns": 1e3 * he["decrypt_us"] / 2048,
            # Of a ciphertext and a weight, mask and body: two products per slot.
            "multiply-add ns": 2 / he["gemm_gmacs"],
            "bytes up": (2048 * 4 + 16) / 2048,
            "bytes down": 2 * 4.0,
        })  # fmt: skip
    columns = ["who", "slots", "encrypt ns", "decrypt ns", "multiply-add ns", "bytes up", "bytes down"]
    settings = {
        "version": tenseal.__version__,
        "BFV": "N = 4096, t = 1032193, SEAL's default coefficients",
        "CKKS": "N = 4096, coefficients of 39, 30, 39 bits, scale 2^30",
        "threads": 1,
    }
    common.report(options, "Ciphertext and known weight, per slot", columns, rows, settings)


if __name__ == "__main__":
    main()
