"""Makes the reference values beside this file with Kymatio, from the root of the repository:

    pip install kymatio==0.3.0 numpy==1.26.4 scipy==1.14.1
    python crates/features/tests/reference/make.py

digits.f32  the first 4 MNIST test images in [0, 1], J = 2, L = 8: 4 x 81 x 7 x 7 little-endian floats, made in
            double precision
odd.f32     an image of 34 x 41 whose pixel (y, x) is (7 y + 13 x + x y) mod 32 / 31, J = 3, L = 5: 91 x 4 x 5 floats
"""

import gzip
from pathlib import Path

import numpy as np
from kymatio.numpy import Scattering2D

here = Path(__file__).parent
with gzip.open(here / "../../../../data/mnist/t10k-images-idx3-ubyte.gz") as file:
    pixels = np.frombuffer(file.read()[16 : 16 + 4 * 784], np.uint8).reshape(4, 28, 28)
digits = Scattering2D(J=2, shape=(28, 28), L=8, max_order=2)(pixels / 255.0)
digits.astype("<f4").tofile(here / "digits.f32")

y, x = np.mgrid[:34, :41]
odd = Scattering2D(J=3, shape=(34, 41), L=5, max_order=2)((7 * y + 13 * x + x * y) % 32 / 31.0)
odd.astype("<f4").tofile(here / "odd.f32")
print(digits.shape, odd.shape)
