"""What papers report on the data sets of the scoreboard, beside which it puts our own numbers.

Only numbers on the same data, under the same transform and of the same quantity are here: bits/dim of 8-bit
CIFAR-10, nats of statically binarised MNIST, Parzen windows of MNIST. FIDs of papers are in features of
another net and are left out, as are likelihoods of dynamically binarised digits.
"""

from typing import NamedTuple


class Reported(NamedTuple):
    """A number of a paper, and the model here that has the same kind of net.

    `measure` is a metric of the ledger or a kind and a unit of its likelihoods; no model: nothing to compare.
    """

    net: str
    value: str
    source: str
    url: str
    model: str = ""
    measure: str = ""


_PIXELRNN = ("van den Oord et al. 2016", "https://arxiv.org/abs/1601.06759")
_PIXELVAE = ("Gulrajani et al. 2017", "https://arxiv.org/abs/1611.05013")

PAPERS = {
    "binarized-mnist, static-binarised": (
        Reported(
            "PixelRNN, Diagonal BiLSTM, 7 layers",
            "79.20 nats",
            *_PIXELRNN,
            "pixelrnn-diagonal-mnist",
            "exact nats",
        ),
        Reported("PixelRNN, Row LSTM", "80.54 nats", *_PIXELRNN, "pixelrnn-row-mnist", "exact nats"),
        Reported("PixelCNN", "81.30 nats", *_PIXELRNN, "pixelcnn-mnist", "exact nats"),
        Reported("Gated PixelCNN", "80.10 nats", *_PIXELVAE, "gated-pixelcnn-mnist", "exact nats"),
        Reported("convolutional VAE", "≤ 87.41 nats", *_PIXELVAE, "vae-mnist", "elbo nats"),
        Reported("PixelVAE", "≤ 80.64 nats", *_PIXELVAE),
        Reported("NADE", "88.33 nats", *_PIXELRNN),
    ),
    "cifar10, 8-bit": (
        Reported(
            "Gated PixelCNN",
            "3.03 bits/dim",
            "van den Oord et al. 2016b",
            "https://arxiv.org/abs/1606.05328",
            "gated-pixelcnn-cifar10",
            "exact bits/dim",
        ),
        Reported("PixelRNN, Diagonal BiLSTM", "3.00 bits/dim", *_PIXELRNN),
        Reported("PixelCNN", "3.14 bits/dim", *_PIXELRNN),
        Reported("PixelCNN++", "2.92 bits/dim", "Salimans et al. 2017", "https://arxiv.org/abs/1701.05517"),
    ),
    "mnist, 8-bit": (
        Reported(
            "GAN, Parzen windows",
            "225 ± 2 nats",
            "Goodfellow et al. 2014",
            "https://arxiv.org/abs/1406.2661",
            "gan-mnist",
            "parzen-2014",
        ),
        Reported(
            "conditional GAN, Parzen windows",
            "132 ± 1.8 nats",
            "Mirza & Osindero 2014",
            "https://arxiv.org/abs/1411.1784",
            "cgan-mnist",
            "parzen-2014",
        ),
    ),
}
