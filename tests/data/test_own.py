"""A user's own images: every form gives the same arrays, what is broken is named, and changed files are others."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from skexplore.data import (
    Content,
    content_of,
    describe_own,
    inspect_own,
    load_part,
    prepare_own,
    remarks,
    split_indices,
)
from skexplore.data.own import own_folder
from skexplore.errors import UserError

CLASSES = ("ant", "bee", "cow")
SIDE = 8


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SKEXPLORE_DATA", raising=False)


def synthetic(count, seed=0, side=SIDE, channels=3):
    """Return images (N, side, side, channels) and labels (N,): no photographs, but every pixel is known."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, side, side, channels), np.uint8)
    return images, np.arange(count) % len(CLASSES)


def written(folder, images, labels, start=0):
    """Write images as lossless files into a folder of each class, named by their number."""
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True), start):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze()).save(place / f"{number:05}.png")
    return folder


def own(text):
    return describe_own(f"{text}@{SIDE}")


def arrays(found, part):
    return load_part(found.folder, part)


def test_class_folders_keep_the_order_of_names_and_every_pixel(tmp_path):
    images, labels = synthetic(60)
    test_images, test_labels = synthetic(12, seed=1)
    written(tmp_path / "Our Animals" / "train", images, labels)
    written(tmp_path / "Our Animals" / "test", test_images, test_labels)
    found = own(tmp_path / "Our Animals")
    assert (found.name, found.classes, found.channels, found.side) == ("our-animals", CLASSES, 3, SIDE)
    assert (found.images, found.test_held_out) == ({"train": 60, "test": 12}, False)
    for part, expected, own_labels in (("train", images, labels), ("test", test_images, test_labels)):
        stored, stored_labels = arrays(found, part)
        assert (stored == expected.transpose(0, 3, 1, 2)).all()
        assert stored_labels.tolist() == own_labels.tolist()
    assert found.mean == pytest.approx(images.mean((0, 1, 2)) / 255, abs=6e-5)
    assert found.std == pytest.approx(images.std((0, 1, 2)) / 255, abs=6e-5)


def test_without_a_test_folder_a_stratified_tenth_is_held_out(tmp_path):
    images, labels = synthetic(90)
    found = own(written(tmp_path / "flat", images, labels))
    assert (found.images, found.test_held_out) == ({"train": 81, "test": 9}, True)
    held, held_labels = arrays(found, "test")
    assert np.bincount(held_labels).tolist() == [3, 3, 3]
    together = np.concatenate((arrays(found, "train")[0], held))
    assert {each.tobytes() for each in together} == {each.transpose(2, 0, 1).tobytes() for each in images}


@pytest.mark.parametrize("form", ["npz", "parquet", "folder"])
def test_every_form_gives_the_same_arrays(tmp_path, form):
    images, labels = synthetic(45)
    val_images, val_labels = synthetic(9, seed=1)
    place = tmp_path / "own"
    if form == "folder":
        written(place / "train", images, labels)
        written(place / "val", val_images, val_labels)
    elif form == "npz":
        place = tmp_path / "own.npz"
        np.savez(
            place,
            train_images=images,
            train_labels=labels[:, None],
            val_images=val_images,
            val_labels=val_labels,
        )
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        place.mkdir()
        for part, given, own_labels in (("train", images, labels), ("validation", val_images, val_labels)):
            rows = [{"bytes": png(each), "path": None} for each in given]
            table = pyarrow.table({"img": rows, "label": own_labels})
            features = {"info": {"features": {"label": {"names": list(CLASSES)}}}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
            parquet.write_table(table, place / f"{part}-00000-of-00001.parquet")
    found = own(place)
    assert found.images == {"train": 42, "val": 9, "test": 3}
    assert found.classes == (CLASSES if form != "npz" else ("0", "1", "2"))
    stored, stored_labels = arrays(found, "val")
    assert (stored == val_images.transpose(0, 3, 1, 2)).all()
    assert stored_labels.tolist() == val_labels.tolist()
    assert found.content.most_val(42) == 9
    assert found.content.most_train == 42


def png(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def test_grey_images_have_one_channel_and_one_coloured_image_makes_three(tmp_path):
    images, labels = synthetic(30, channels=1)
    place = written(tmp_path / "grey", images, labels)
    found = own(place)
    assert (found.channels, len(found.mean)) == (1, 1)
    assert arrays(found, "train")[0].shape[1:] == (1, SIDE, SIDE)
    Image.fromarray(synthetic(1)[0][0]).save(place / "ant" / "99999.png")
    assert own(place).channels == 3


def test_images_of_any_size_are_fitted(tmp_path):
    images, labels = synthetic(27, side=40)
    place = written(tmp_path / "large", images, labels)
    flat = Image.new("RGB", (64, 20), (10, 200, 30))
    flat.save(place / "ant" / "aaa.png")
    found = own(place)
    stored, _ = (
        np.concatenate(each)
        for each in zip(*(arrays(found, part) for part in ("train", "test")), strict=True)
    )
    assert stored.shape == (28, 3, SIDE, SIDE)
    assert any((each == np.array([10, 200, 30])[:, None, None]).all() for each in stored)


def test_sixteen_bit_images_keep_their_range(tmp_path):
    images, labels = synthetic(30, channels=1)
    place = written(tmp_path / "deep", images, labels)
    deep = np.full((SIDE, SIDE), 0xA0B0, np.uint16)
    Image.fromarray(deep).save(place / "bee" / "deep.png")
    found = own(place)
    stored = np.concatenate([arrays(found, part)[0] for part in ("train", "test")])
    assert found.channels == 1
    assert any((each == 0xA0).all() for each in stored)


# What is wrong is named, with the file


def test_every_broken_image_is_named_and_may_be_left_out(tmp_path):
    images, labels = synthetic(45)
    place = written(tmp_path / "own", images, labels)
    (place / "ant" / "notes.txt").write_text("no image")
    whole = (place / "bee" / "00001.png").read_bytes()
    (place / "bee" / "00001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError) as raised:
        own(place)
    text = str(raised.value)
    assert f"{place / 'ant' / 'notes.txt'}: is no image" in text
    assert f"{place / 'bee' / '00001.png'}: is broken" in text
    assert "--skip-broken" in text
    assert not list((tmp_path / "cache" / "own").glob("*"))
    found = describe_own(f"{place}@{SIDE}", skip_broken=True)
    assert (found.skipped, sum(found.images.values())) == (2, 44)
    assert own(place) == found  # what was allowed once holds until the files change


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda place: (place / "train" / "dog").mkdir(), "train/dog: holds no image"),
        (
            lambda place: written(place / "val", *synthetic(2)),
            "val: cow: a class of train without a folder here",
        ),
        (
            lambda place: (place / "test" / "emu").mkdir(parents=True),
            "test: emu: not among the classes of train",
        ),
    ],
)
def test_classes_that_do_not_fit_are_named(tmp_path, break_it, said):
    place = tmp_path / "own"
    written(place / "train", *synthetic(45))
    break_it(place)
    with pytest.raises(UserError, match=said):
        own(place)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "train_images is missing"),
        (
            {"train_images": np.zeros((4, 8, 8, 3), np.uint8)},
            "train_labels is missing; it holds train_images",
        ),
        (
            {"train_images": np.zeros((4, 8, 8, 3)), "train_labels": np.arange(4)},
            "float64 of shape .4, 8, 8, 3.; it must be uint8",
        ),
        (
            {"train_images": np.zeros((4, 8, 8, 3), np.uint8), "train_labels": np.arange(3)},
            "it must be 4 integers from 0 on",
        ),
        (
            {"train_images": np.zeros((4, 8, 8, 3), np.uint8), "train_labels": np.array([0, 0, 2, 2])},
            "train has no image of 1",
        ),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(UserError, match=said):
        own(tmp_path / "own.npz")


def test_a_place_that_holds_no_images_says_what_to_give(tmp_path):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(UserError, match="train/CLASS/IMAGE"):
            own(place)
    with pytest.raises(UserError, match="did you mean cifar10"):
        content_of("cifar-10")
    written(tmp_path / "few", *synthetic(15))
    with pytest.raises(
        UserError, match="12 images to train on, and 3 are held out for test; there must be 20"
    ):
        own(tmp_path / "few")
    with pytest.raises(UserError, match="between 8 and 1,024"):
        content_of("./few@4")


# What was decoded is used until the files change


def test_the_same_files_are_decoded_once_and_changed_ones_are_others(tmp_path, monkeypatch):
    place = written(tmp_path / "own", *synthetic(45))
    first = own(place)
    with monkeypatch.context() as patch:
        patch.setattr("skexplore.data.own.find_source", lambda _: pytest.fail("decoded again"))
        assert own(place) == first
        assert prepare_own(first.content) == first.folder
    Image.fromarray(synthetic(1, seed=9)[0][0]).save(place / "ant" / "00000.png")
    second = own(place)
    assert second.digest != first.digest
    assert second.folder != first.folder
    with pytest.raises(
        UserError, match=f"holds other images than own had .digest {second.digest[:12]}, expected"
    ):
        own_again(first.content, place)


def own_again(content: Content, place):
    """Ask for ``content`` where the cache has lost it."""
    shutil.rmtree(own_folder(content.name, content.digest, content.side))
    return prepare_own(content, data_dir=place)


def test_a_lost_cache_is_filled_from_the_folder_that_is_given(tmp_path):
    place = written(tmp_path / "own", *synthetic(45))
    found = own(place)
    before = arrays(found, "train")[0].tobytes()
    assert own_again(found.content, place) == found.folder
    assert arrays(found, "train")[0].tobytes() == before
    (found.folder / "train_images.npy").unlink()
    with pytest.raises(UserError, match="not cached there; give the folder that holds them: --data-dir DIR"):
        prepare_own(found.content)


def test_a_damaged_cache_is_decoded_again(tmp_path):
    place = written(tmp_path / "own", *synthetic(45))
    found = own(place)
    (found.folder / "test_images.npy").write_bytes(b"short")
    assert own(place) == found
    assert arrays(found, "test")[0].shape == (3, 3, SIDE, SIDE)


# Classes of different sizes


def test_unequal_classes_keep_their_shares_in_every_part(tmp_path):
    images, _ = synthetic(330)
    labels = np.repeat([0, 1, 2], [250, 70, 10])
    found = own(written(tmp_path / "own", images, labels))
    assert found.counts == {"train": (225, 63, 9), "test": (25, 7, 1)}
    train, val = split_indices(arrays(found, "train")[1], train_images=267, val_images=29)
    for chosen, share in ((train, 0.9), (val, 0.1)):
        counts = np.bincount(arrays(found, "train")[1][chosen], minlength=3)
        assert np.abs(counts - share * np.array(found.counts["train"])).max() <= 1
    assert any("classes differ in size: 9 images of cow, 225 of ant" in each for each in remarks(found))
    assert any(
        "29 images to validate on: an error moves in steps of 3.4 points" in each for each in remarks(found)
    )


def test_a_class_that_only_broken_images_had_is_named(tmp_path):
    place = written(tmp_path / "own", *synthetic(60))
    for file in (place / "cow").iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(UserError, match="train has no image of cow once 20 broken ones are left out"):
        describe_own(f"{place}@{SIDE}", skip_broken=True)


def test_what_is_in_train_and_in_test_is_counted(tmp_path):
    images, labels = synthetic(60)
    written(tmp_path / "own" / "train", images, labels)
    written(tmp_path / "own" / "test", images[:9], labels[:9])
    (tmp_path / "own" / "notes").mkdir()
    found = own(tmp_path / "own")
    assert (found.twice, found.unused) == (9, ("notes",))
    assert [*remarks(found)][:2] == [
        "the folder notes is no part and is not used",
        "9 images outside train are in train too",
    ]


# Folders as people have them


@pytest.mark.parametrize("names", [("Training", "Valid", "Testing"), ("train", "validation", "TEST")])
def test_parts_may_have_their_usual_other_names(tmp_path, names):
    for part, count in zip(names, (60, 9, 12), strict=True):
        written(tmp_path / "own" / part, *synthetic(count, seed=count))
    assert own(tmp_path / "own").images == {"train": 60, "val": 9, "test": 12}


def test_parts_without_train_or_twice_the_same_are_refused(tmp_path):
    written(tmp_path / "a" / "val", *synthetic(30))
    written(tmp_path / "a" / "test", *synthetic(30))
    with pytest.raises(UserError, match="holds test and val but no train"):
        own(tmp_path / "a")
    for name in ("train", "val", "valid"):
        written(tmp_path / "b" / name, *synthetic(30))
    with pytest.raises(UserError, match="val and valid are both val; keep one of them"):
        own(tmp_path / "b")


def test_changes_behind_a_link_are_seen(tmp_path):
    target = written(tmp_path / "elsewhere", *synthetic(60))
    place = tmp_path / "own"
    place.mkdir()
    for name in CLASSES:
        (place / name).symlink_to(target / name)
    first = own(place)
    Image.fromarray(synthetic(1, seed=9)[0][0]).save(target / "ant" / "new.png")
    assert sum(own(place).images.values()) == sum(first.images.values()) + 1
    (target / "ant" / "back").symlink_to(target)  # leads back: each folder is read once
    assert own(place).images == own(place).images


def test_a_folder_whose_name_ends_like_a_side_is_that_folder(tmp_path):
    place = written(tmp_path / "at@64", *synthetic(30))
    assert describe_own(str(place)).side == 32
    assert describe_own(f"{place}@16").side == 16
    with pytest.raises(UserError, match="the images of cifar10 have 32 pixels; leave @64 out"):
        content_of("cifar10@64")


# Pixels as they are seen


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_on_white(tmp_path, mode):
    place = written(tmp_path / "own", *synthetic(40))
    clear = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, SIDE, SIDE // 2))
    clear.convert(mode).save(place / "ant" / "clear.png")
    stored = np.concatenate([arrays(own(place), part)[0] for part in ("train", "test")])
    half = np.zeros((3, SIDE, SIDE), np.uint8)
    half[:, SIDE // 2 :] = 255
    assert any((each == half).all() for each in stored)


def test_pixels_whose_range_nobody_knows_are_refused(tmp_path):
    place = written(tmp_path / "own", *synthetic(40))
    Image.fromarray(np.full((SIDE, SIDE), 0.5, np.float32)).save(place / "ant" / "float.tiff")
    Image.fromarray(np.full((SIDE, SIDE), 70_000, np.int32)).save(place / "ant" / "large.tiff")
    with pytest.raises(UserError) as raised:
        own(place)
    assert "float.tiff: is broken (pixels are floats, whose range nobody knows" in str(raised.value)
    assert "large.tiff: is broken (pixels beyond 16 bits" in str(raised.value)


def test_twelve_bits_in_sixteen_are_remarked_on(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(40):
        place = tmp_path / "own" / CLASSES[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 4096, (SIDE, SIDE)).astype(np.uint16)).save(
            place / f"{number}.png"
        )
    assert any("pixels hardly differ" in each for each in remarks(own(tmp_path / "own")))


def test_grey_images_that_are_stored_in_colours_are_grey(tmp_path):
    images, labels = synthetic(40, channels=1)
    place = written(tmp_path / "own", np.repeat(images, 3, 3), labels)
    assert own(place).channels == 1


# Files that are damaged, and copies that are


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 cut off", "is a damaged .npz"),
        (b"no array", "is no .npz of plain arrays"),
    ],
)
def test_a_file_that_is_no_npz_is_refused_without_advice_to_run_it(tmp_path, content, said):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(UserError, match=said) as raised:
        own(tmp_path / "own.npz")
    assert "pickle" not in str(raised.value)


def test_a_label_beyond_all_images_is_refused_in_a_short_message(tmp_path):
    images, labels = synthetic(30)
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=np.where(labels == 2, 10**9, labels))
    with pytest.raises(UserError, match="a label is 1,000,000,000, and there are 30 images"):
        own(tmp_path / "own.npz")


def test_an_empty_part_is_none(tmp_path):
    images, labels = synthetic(60)
    empty = {"test_images": images[:0], "test_labels": labels[:0]}
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=labels, **empty)
    found = own(tmp_path / "own.npz")
    assert (found.images, found.test_held_out) == ({"train": 54, "test": 6}, True)


def test_every_byte_of_the_cache_can_be_checked(tmp_path):
    found = own(written(tmp_path / "own", *synthetic(45)))
    assert all(check.ok for check in inspect_own(found))
    path = found.folder / "test_images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert [check.name for check in inspect_own(found) if not check.ok] == ["test_images.npy"]


# A study goes on where its images are found again


def test_images_are_found_by_what_they_are_wherever_they_lie(tmp_path):
    place = written(tmp_path / "own", *synthetic(45))
    (place / "ant" / "zz.png").write_bytes(b"broken")
    found = describe_own(f"{place}@{SIDE}", skip_broken=True)
    shutil.rmtree(found.folder)
    moved = place.rename(tmp_path / "moved")
    again = prepare_own(found.content, data_dir=moved)
    assert prepare_own(found.content) == again
    shutil.rmtree(again)
    with pytest.raises(UserError, match=r"--data-dir .*none: there is no such folder or file"):
        prepare_own(found.content, data_dir=tmp_path / "none")


def test_the_printed_command_is_one_that_can_be_typed(tmp_path):
    place = written(tmp_path / "my own", *synthetic(45))
    (place / "ant" / "zz.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=rf"--dataset '{place}@{SIDE}' --skip-broken"):
        own(place)
