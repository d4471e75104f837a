"""One image recognised under encryption without the client's help: TenSEAL and Sphinx.

TenSEAL evaluates the network of its own tutorial on encrypted convolution (a 7 × 7 convolution of
stride 3 with 4 channels, square, dense 256 to 64, square, dense 64 to 10) with the parameters given
there. The weights are trained here, in the clear, on the 60 000 training images.
"""

import numpy as np
import tenseal
import torch
from torch import nn

import common

IMAGES, EPOCHS = 100, 10


class Square(nn.Module):
    def forward(self, x):
        return x * x


def trained(images, labels):
    torch.manual_seed(73)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 7, stride=3), Square(), nn.Flatten(), nn.Linear(256, 64), Square(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.from_numpy(images).reshape(-1, 1, 28, 28), torch.from_numpy(labels)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order.split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model.eval()


def context():
    """26 bits of scale and five products, as in the tutorial: N = 8192, 128 bits of security."""
    scale = 26
    made = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=8192, coeff_mod_bit_sizes=[31] + [scale] * 6 + [31],
        n_threads=common.CORES,
    )  # fmt: skip
    made.global_scale = 2**scale
    made.generate_galois_keys()
    return made


class Encrypted:
    def __init__(self, model):
        convolution, _, _, hidden, _, last = model
        self.kernels = [kernel.tolist() for kernel in convolution.weight.detach()[:, 0]]
        self.shifts = convolution.bias.tolist()
        self.hidden = hidden.weight.detach().T.tolist(), hidden.bias.tolist()
        self.last = last.weight.detach().T.tolist(), last.bias.tolist()

    def __call__(self, windows, count):
        channels = [
            windows.conv2d_im2col(kernel, count) + shift for kernel, shift in zip(self.kernels, self.shifts)
        ]
        x = tenseal.CKKSVector.pack_vectors(channels)
        x.square_()
        x = x.mm(self.hidden[0]) + self.hidden[1]
        x.square_()
        return x.mm(self.last[0]) + self.last[1]


def main():
    options = common.arguments(__doc__)
    torch.set_num_threads(common.CORES)
    model = trained(*common.mnist("train"))
    images, labels = common.mnist("t10k")
    with torch.no_grad():
        clear = model(torch.from_numpy(images).reshape(-1, 1, 28, 28)).argmax(1).numpy()

    keys, network = context(), Encrypted(model)
    answers, query_bytes, answer_bytes = [], 0, 0

    def recognise(image):
        nonlocal query_bytes, answer_bytes
        query, count = tenseal.im2col_encoding(keys, image.reshape(28, 28).tolist(), 7, 7, 3)
        query_bytes = len(query.serialize())
        answer = network(query, count)
        answer_bytes = len(answer.serialize())
        return int(np.argmax(answer.decrypt()))

    queue = iter(images[:IMAGES])
    seconds = common.seconds(lambda: answers.append(recognise(next(queue))), IMAGES, warm_up=0)
    public = keys.copy()
    public.make_context_public()
    rows = [{
        "who": "TenSEAL, its tutorial's network",
        "seconds": seconds,
        "query bytes": query_bytes,
        "answer bytes": answer_bytes,
        "key bytes": len(public.serialize()),
        "right %": 100 * float(np.mean(clear == labels)),
        "agrees with clear %": 100 * float(np.mean(np.array(answers) == clear[:IMAGES])),
    }]  # fmt: skip
    if bench := common.ours(options.ours):
        for section, who in (("one_shot", "Sphinx, one shot"), ("one_shot_linear", "Sphinx, one shot, linear on features")):
            figures = bench.get(section)
            if figures is None:
                continue
            rows.append({
                "who": f"{who}: {figures['network']}",
                "seconds": figures["seconds_per_image"],
                "query bytes": figures["query_bytes"],
                "answer bytes": figures["answer_bytes"],
                "key bytes": figures["key_bytes"],
                "right %": 100 * figures["accuracy_encrypted"],
                "agrees with clear %": 100 * figures["agreement"],
            })  # fmt: skip
    columns = ["who", "seconds", "query bytes", "answer bytes", "key bytes", "right %", "agrees with clear %"]
    settings = {
        "TenSEAL": f"{tenseal.__version__}, N = 8192, coefficients of 31, 6 × 26, 31 bits, {common.CORES} threads",
        "right": f"TenSEAL: in the clear on all 10 000, under encryption on the first {IMAGES}",
    }
    common.report(options, "One image in one shot", columns, rows, settings)


if __name__ == "__main__":
    main()
