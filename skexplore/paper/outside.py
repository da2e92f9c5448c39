"""Networks that the paper compares with and that are not ours to build: whose definition stands for each row.

They are built and counted by ``nn.count_outside``, on no data and no memory; nothing here loads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TORCHVISION, TIMM = "torchvision.models", "timm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A network of another package.

    title: what the paper calls it. maker: the function that makes it (``module:name``), called with ``arguments``.
    resolution: side of the image that the paper counts. why: what the reading rests on.
    """

    title: str
    maker: str
    arguments: dict[str, object] = field(default_factory=dict)
    resolution: int = 224
    why: str = ""

    @property
    def package(self) -> str:
        """The package that must be installed."""
        return self.maker.partition(":")[0].partition(".")[0]

    @property
    def definition(self) -> str:
        """What is built, in one line."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.maker.replace(':', '.')}({given}) at {self.resolution}x{self.resolution}"


def _timm(title: str, name: str, *, resolution: int = 224) -> Outside:
    return Outside(
        title=title, maker="timm:create_model", arguments={"model_name": name}, resolution=resolution
    )


def _densenet(title: str, growth: int, blocks: tuple[int, ...], why: str) -> Outside:
    return Outside(
        title=title,
        maker="torchvision.models:DenseNet",
        arguments={"growth_rate": growth, "block_config": blocks, "num_init_features": 2 * growth},
        why=why,
    )


OUTSIDE: dict[str, Outside] = {
    "inception-v3": Outside(
        title="InceptionV3",
        maker="torchvision.models:inception_v3",
        arguments={"init_weights": False},
        resolution=299,
        why="with its auxiliary classifier",
    ),
    "inception-v4": _timm("InceptionV4", "inception_v4", resolution=299),
    "inception-resnet-v2": _timm("Inception-ResNetV2", "inception_resnet_v2", resolution=299),
    "dpn-68": _timm("DPN-68", "dpn68"),
    "dpn-92": _timm("DPN-92", "dpn92"),
    "dpn-98": _timm("DPN-98", "dpn98"),
    "densenet-169": Outside(title="DenseNet-169", maker="torchvision.models:densenet169"),
    "densenet-201": Outside(title="DenseNet-201", maker="torchvision.models:densenet201"),
    "densenet-264": _densenet(
        "DenseNet-264 (k=32)", 32, (6, 12, 64, 48), "the blocks of the DenseNet paper's Table 1"
    ),
    "densenet-232": _densenet(
        "DenseNet-232 (k=48)",
        48,
        (6, 12, 48, 48),
        "nobody has published its blocks: 6, 12, 48, 48 have its 232 layers and the family's first two stages",
    ),
}

# rows that nobody can build from what is published, by their name in the paper
UNBUILT = {
    "AttentionNeXt-56": "a Residual Attention Network on ResNeXt units whose layers are not published",
    "Attention-92": "its authors defined it in Caffe; neither torchvision nor timm has it",
}
