"""The reader's own pictures, of any kind and size, with files among them that are none."""

import os

import numpy as np
import pytest
from cost import put_in_the_way, within
from PIL import Image, ImageDraw, ImageOps

import classlab as cl
from classlab import limits, lookup
from classlab.data.loading import prepare
from classlab.data.pictures import read_picture
from classlab.errors import UserError
from classlab.experiment import Data

load = lookup.find("dataset", "folder")


def picture(side=(20, 16), colour=(200, 40, 90)):
    """Red, green and blue corners tell every turn and mirror apart. side: width and height."""
    image = Image.new("RGB", side, colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 4, 4), "red")
    draw.rectangle((side[0] - 5, 0, side[0] - 1, 4), "lime")
    draw.rectangle((0, side[1] - 5, 4, side[1] - 1), "blue")
    return image


def fill(root, classes=("cat", "dog"), count=10, side=(12, 12)):
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.new("L", side, 100 * label + index).save(root / name / f"{index:02}.png")
    return root


def test_a_folder_for_each_class(tmp_path):
    dataset = load(str(fill(tmp_path / "pets")))
    assert dataset.name == "pets"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.input_shape == (1, 12, 12)
    assert np.bincount(dataset.labels).tolist() == [8, 8]
    assert np.bincount(dataset.test_labels).tolist() == [2, 2]
    values = np.concatenate([dataset.images[:, 0, 0, 0], dataset.test_images[:, 0, 0, 0]])
    labels = np.concatenate([dataset.labels, dataset.test_labels])
    assert sorted(values[labels == 0]) == list(range(10))
    assert sorted(values[labels == 1]) == list(range(100, 110))
    assert dataset.mean[0] == pytest.approx((dataset.images / 255).mean())
    assert dataset.std[0] == pytest.approx((dataset.images / 255).std())
    assert dataset.digest == load(str(tmp_path / "pets")).digest


def test_folders_train_and_test_and_a_validation_folder_that_is_left_out(tmp_path, capsys):
    for part, count in (("train", 6), ("test", 3), ("val", 2)):
        fill(tmp_path / part, count=count)
    dataset = load(str(tmp_path))
    assert (len(dataset.images), len(dataset.test_images)) == (12, 6)
    assert f"{tmp_path / 'val'} is left out" in capsys.readouterr().err


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_s_orientation_is_followed(orientation, tmp_path):
    upright = picture()
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that Pillow's numbering undoes
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turned[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "photo.png"), np.asarray(upright))


@pytest.mark.parametrize("background", ["white", "black"])
def test_what_is_transparent_shows_the_background(background, tmp_path):
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    image.putpixel((1, 2), (10, 20, 30, 255))
    image.putpixel((3, 3), (100, 100, 100, 128))
    image.save(tmp_path / "a.png")
    image.quantize().save(tmp_path / "palette.png")
    read = read_picture(tmp_path / "a.png", background=background)
    paper = 255 if background == "white" else 0
    assert read[0, 0].tolist() == [paper] * 3
    assert read[2, 1].tolist() == [10, 20, 30]
    assert np.abs(read[3, 3] - (100 * 128 + paper * 127) / 255).max() <= 1
    assert read_picture(tmp_path / "palette.png", background=background)[0, 0].tolist() == [paper] * 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_is_read(mode, tmp_path):
    grey = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "x.png")
    else:
        Image.fromarray(grey).convert(mode).save(tmp_path / ("x.tif" if mode == "CMYK" else "x.png"))
    read = read_picture(next(tmp_path.iterdir()))
    assert read.shape == (8, 8, 3)
    assert read.dtype == np.uint8
    if mode != "1":
        assert np.abs(read.astype(int) - grey[:, :, None]).max() <= 2


def test_sizes_and_how_a_picture_gets_there(tmp_path):
    wide = picture((40, 20))
    wide.save(tmp_path / "wide.png")
    crop = read_picture(tmp_path / "wide.png", (10, 10), "crop")
    assert np.array_equal(crop, np.asarray(ImageOps.fit(wide, (10, 10), Image.Resampling.BILINEAR)))
    stretched = read_picture(tmp_path / "wide.png", (10, 10), "stretch")
    assert np.array_equal(stretched, np.asarray(wide.resize((10, 10), Image.Resampling.BILINEAR)))
    padded = read_picture(tmp_path / "wide.png", (10, 10), "pad", "black")
    assert padded[:2].max() == padded[-2:].max() == 0
    assert read_picture(tmp_path / "wide.png", (20, 40)).shape == (20, 40, 3)


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    fill(tmp_path)
    Image.new("L", (9, 5)).save(tmp_path / "dog" / "99.png")
    with pytest.raises(
        UserError, match=r"differ in size .*00.png is 12 × 12, .*99.png 5 × 9\); give data.dataset.size"
    ):
        load(str(tmp_path))
    assert load(str(tmp_path), size=8).input_shape == (1, 8, 8)
    assert load(str(tmp_path), size=[6, 4]).input_shape == (1, 6, 4)


def test_channels_are_three_where_any_picture_has_a_coloured_pixel(tmp_path):
    fill(tmp_path)
    assert load(str(tmp_path), channels=3).input_shape == (3, 12, 12)
    picture((12, 12)).save(tmp_path / "dog" / "99.png")
    assert load(str(tmp_path)).input_shape == (3, 12, 12)
    grey = load(str(tmp_path), channels=1)
    luma = np.asarray(picture((12, 12)).convert("L")).astype(int)
    closest = min(np.abs(image[0].astype(int) - luma).max() for image in [*grey.images, *grey.test_images])
    assert closest <= 1


def test_unreadable_files_are_named_and_counted_and_refused_only_when_asked(tmp_path, capsys):
    fill(tmp_path)
    whole = (tmp_path / "cat" / "00.png").read_bytes()
    for index in range(7):
        (tmp_path / "cat" / f"bad{index}.png").write_bytes(whole[: 10 + index])
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "cat" / ".hidden.png").write_text("not looked at")
    dataset = load(str(tmp_path))
    assert len(dataset.images) + len(dataset.test_images) == 20
    said = capsys.readouterr().err
    assert "1 file left out, not named as pictures are" in said
    assert "7 of 27 pictures left out:" in said
    assert "bad0.png is not a complete image" in said
    assert "and 2 more" in said
    with pytest.raises(UserError, match=r"bad0.png is not a complete image"):
        load(str(tmp_path), unreadable="refuse")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: None, "must hold a folder of pictures for each of at least two classes; it holds none"),
        (lambda root: fill(root, ("cat",)), "at least two classes; it holds cat"),
        (
            lambda root: (fill(root), (root / "eel").mkdir()),
            "every class needs at least two pictures; 'eel' in .* has 0",
        ),
        (
            lambda root: (fill(root / "train"), fill(root / "test", ("cat", "dgo"))),
            r"test holds the class 'dgo', which train does not; did you mean dog\?",
        ),
    ],
)
def test_folders_that_do_not_serve_are_told(make, sentence, tmp_path):
    make(tmp_path)
    with pytest.raises(UserError, match=sentence):
        load(str(tmp_path))


def place_beside(root):
    """Put the test pictures in test itself, where no class is told of them."""
    root.mkdir()
    Image.new("L", (12, 12)).save(root / "00.png")


def leave_empty(root):
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)


def damage(root):
    fill(root, count=1)
    for file in root.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:20])


@pytest.mark.parametrize("make", [place_beside, leave_empty, damage])
def test_a_folder_test_without_pictures_of_any_class_is_told_before_anything_is_trained(make, tmp_path):
    fill(tmp_path / "pets" / "train")
    make(tmp_path / "pets" / "test")
    experiment = {
        "name": "t",
        "data": {"dataset": {"name": "folder", "path": str(tmp_path / "pets")}},
        "model": "perceptron",
        "training": {"epochs": 1, "batch_size": 4, "optimizer": "adam"},
    }
    with pytest.raises(UserError, match=r"pets has no test images, .*in a folder: test/CLASS/…\), or leave it out"):
        cl.train(experiment, out=tmp_path / "runs", verbose=False)
    assert not (tmp_path / "runs").exists()


def test_classes_without_test_pictures_are_told(tmp_path):
    fill(tmp_path / "train", ("cat", "dog", "eel", "fox"))
    fill(tmp_path / "test", ("cat", "dog"))
    plan = Data.model_validate({"dataset": {"name": "folder", "path": str(tmp_path)}, "classes": ["eel", "fox"]})
    with pytest.raises(UserError, match=r"data.classes \['eel', 'fox'\] leaves no test images of .*; name classes"):
        prepare(plan)


def test_a_folder_without_one_whole_picture_is_told(tmp_path):
    damage(tmp_path)
    with pytest.raises(UserError, match=r"every class needs at least two pictures; 'cat' in .* has 0 that can be read"):
        load(str(tmp_path))


def test_a_share_for_testing_that_is_no_picture_is_told_by_its_own_name(tmp_path):
    fill(tmp_path, count=2)
    with pytest.raises(UserError, match=r"^test_share 0.1 of 4 images is none; give a larger fraction"):
        load(str(tmp_path), test_share=0.1)


def test_no_folder_is_told(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere of pictures"):
        load(str(tmp_path / "nowhere"))


STRANGE = (
    b"a\x1b[31mx",
    b"a\\x1b[31mx",
    b"a\\x1b[31mx (2)",
    b"b\nc",
    b"[bold]x",
    b"\xff\xfe",
    "x\u202ey".encode(),
    b"z" * 250,
)


def test_class_folders_of_any_name_become_classes_of_printable_names_and_none_are_thrown_together(tmp_path, capsys):
    for number, name in enumerate(STRANGE):
        folder = tmp_path / "pets\x1b" / os.fsdecode(name)
        folder.mkdir(parents=True)
        for index in range(5):
            with (folder / os.fsdecode(b"%d\xff.png" % index)).open("wb") as file:
                Image.new("L", (8, 8), 10 * number).save(file, "PNG")
    dataset = load(str(tmp_path / "pets\x1b"))
    assert sorted(dataset.class_names) == sorted(
        [
            "a\\x1b[31mx (3)",
            "a\\x1b[31mx",
            "a\\x1b[31mx (2)",
            "b\\nc",
            "[bold]x",
            "\\udcff\\udcfe",
            "x\\u202ey",
            "z" * 250,
        ]
    )
    assert dataset.name == "pets\\x1b"
    raw = {os.fsdecode(name): 10 * number for number, name in enumerate(STRANGE)}
    for label, name in enumerate(sorted(raw)):  # in the order of the folders' own names
        assert np.unique(dataset.images[dataset.labels == label]).tolist() == [raw[name]]
    prepare(
        Data.model_validate(
            {"dataset": {"name": "folder", "path": str(tmp_path / "pets\x1b")}, "classes": ["b\\nc", "[bold]x"]}
        )
    )
    assert "\x1b" not in capsys.readouterr().err


def test_links_in_a_circle_pipes_and_devices_named_as_pictures_are_passed_by(tmp_path):
    fill(tmp_path)
    (tmp_path / "cat" / "around").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    put_in_the_way(tmp_path / "dog", ".png")
    with within():
        dataset = load(str(tmp_path))
    assert len(dataset.images) + len(dataset.test_images) == 20


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    fill(tmp_path)

    def refuse(place):
        raise PermissionError(13, "Permission denied", place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=f"^the folder {tmp_path} cannot be read: Permission denied$"):
        load(str(tmp_path))


def test_pictures_that_would_fill_the_machine_are_refused_after_the_first(tmp_path, monkeypatch):
    fill(tmp_path)
    monkeypatch.setattr(limits, "ARRAYS_BYTES", 20 * 12 * 12 * 3 - 1)
    with pytest.raises(
        UserError, match=r"the 20 pictures in .* would take 8,640 bytes, and at most 8,639 are read; give"
    ):
        load(str(tmp_path))
    assert load(str(tmp_path), size=8).input_shape == (1, 8, 8)


def test_a_home_of_nobody_is_told():
    with pytest.raises(UserError, match=r"^there is no folder ~nobodyhere/pets of pictures$"):
        load("~nobodyhere/pets")
