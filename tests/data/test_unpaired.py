"""Unpaired sets: two domains, each with its own length, splits and order."""

import numpy as np
import pytest
from PIL import Image

from genzoo.data import Images, batch_indices, epoch_size, identity, open_data, order, side_indices
from genzoo.errors import ArgumentError, DataError


def pictures(folder, count, grey):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (8, 8), (grey + number,) * 3).save(folder / f"{number}.png")


def cyclegan(root, domains=("A", "B")):
    for name, start in zip(domains, (0, 100), strict=True):
        for split, count, first in (("train", 12 + start // 20, 0), ("test", 3 + start // 100, 60)):
            pictures(root / f"{split}{name}", count, start + first)
    return root


def sides(found):
    return [side.pixels[:, 0, 0, 0].astype(int) for side in found.domains]


def test_a_cyclegan_folder_has_two_domains_with_their_published_splits(tmp_path):
    spec = f"unpaired:{cyclegan(tmp_path)}"
    for split, counts, first in (("train", (12, 17), 0), ("test", (3, 4), 60)):
        found = open_data(spec, split=split, image_shape=(3, 8, 8))
        one, other = sides(found)
        assert (len(one), len(other)) == counts and found.other.split == split
        assert set(one) == set(range(first, first + counts[0]))
        assert set(other) == set(range(100 + first, 100 + first + counts[1]))
        assert [side.facts["domain"] for side in found.domains] == ["A", "B"]
    fit, valid = (open_data(spec, split=split) for split in ("fit", "valid"))
    assert len(fit) + len(valid) == 12 and len(fit.other) + len(valid.other) == 17


def test_two_folders_of_any_name_and_any_two_specs_are_domains(tmp_path):
    pictures(tmp_path / "both" / "horse", 20, 0)
    pictures(tmp_path / "both" / "zebra", 30, 100)
    both = tmp_path / "both"
    for spec in (f"unpaired:{both}", f"unpaired:{both / 'horse'}, {both / 'zebra'}"):
        train, test = (open_data(spec, split=split, val_split=0.3) for split in ("train", "test"))
        assert [side.facts["domain"] for side in train.domains] == ["horse", "zebra"]
        assert train.labels is None is train.other.labels
        for place, count in ((0, 20), (1, 30)):
            parts = sides(train)[place], sides(test)[place]
            assert sorted(np.concatenate(parts)) == [100 * place + number for number in range(count)]


def test_images_of_neither_domain_are_counted(tmp_path, capsys):
    for name, grey in (("a", 0), ("b", 100)):
        pictures(tmp_path / name, 4, grey)
    open_data(f"unpaired:{tmp_path}", val_split=0)
    assert "not used" not in capsys.readouterr().err
    pictures(tmp_path / "c", 3, 200)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    found = open_data(f"unpaired:{tmp_path}", val_split=0)
    assert (len(found), len(found.other)) == (4, 4)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not used" in line]
    assert line.endswith(f"{tmp_path}: 3 images in no folder of A and B: not used (one of them: c/0.png)")


def test_an_npz_of_two_arrays_has_two_domains(tmp_path):
    first = np.arange(12, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    np.savez(tmp_path / "two.npz", arr_0=first, arr_1=first[:7] + 100)
    np.savez(tmp_path / "splits.npz", trainA=first, testA=first[:2], trainB=first[:7], testB=first[:3])
    whole = np.concatenate([first, first[:7] + 100])
    domain = np.array([0] * 12 + [1] * 7)
    np.savez(tmp_path / "domain.npz", images=whole, domain=domain, test=np.arange(19) % 6 == 5)
    found = open_data(f"unpaired:{tmp_path / 'two.npz'}", val_split=0)
    assert [sorted(side) for side in sides(found)] == [list(range(12)), list(range(100, 107))]
    test = open_data(f"unpaired:{tmp_path / 'splits.npz'}", split="test")
    assert (len(test), len(test.other)) == (2, 3)
    test = open_data(f"unpaired:{tmp_path / 'domain.npz'}", split="test", image_shape=(3, 2, 2))
    assert [side.tolist() for side in sides(test)] == [[5, 11], [105]] and test.other.shape == (3, 2, 2)


def test_both_domains_count_in_the_identity_and_are_held_out_in_memory():
    pixels = np.arange(40, dtype=np.uint8)[:, None, None, None]
    one = Images(pixels=pixels, other=Images(pixels=pixels[:30] + 100))
    assert identity(one) != identity(one.replace(other=None))
    assert identity(one) != identity(one.replace(other=Images(pixels=pixels[:30])))
    train, test = (open_data(one, split=split) for split in ("train", "test"))
    assert len(train.other) + len(test.other) == 30 and not set(sides(train)[1]) & set(sides(test)[1])
    with pytest.raises(ArgumentError, match="two domains at most"):
        Images(pixels=pixels, other=one)


def test_each_domain_has_a_permutation_of_its_own():
    first, second = order(5, 0, 40), order(5, 0, 40, side=1)
    assert sorted(first) == sorted(second) == list(range(40))
    assert (first == second).mean() < 0.3  # one shared permutation would make pairs of the rows
    assert (order(5, 0, 40, 0) == order(5, 0, 40)).all() and (order(5, 1, 40, 1) != second).any()


def test_batches_of_both_domains_show_each_image_once_before_any_twice():
    counts = (7, 10)
    batches = [side_indices(counts, 4, number, seed=3) for number in range(35)]
    for side, count in enumerate(counts):
        stream = np.concatenate([batch[side] for batch in batches])
        for epoch in range(140 // count):
            assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))
    assert epoch_size(counts) == 10
    assert all((both[0] == batch_indices(7, 4, number, 3)).all() for number, both in enumerate(batches))


def test_the_stream_of_the_second_domain_never_changes():
    assert order(0, 0, 10, 1).tolist() == SECOND and order(0, 0, 10).tolist() == FIRST


FIRST = [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
SECOND = [8, 7, 4, 2, 6, 5, 9, 0, 1, 3]


def test_what_is_no_set_of_two_domains_is_refused(tmp_path):
    pictures(tmp_path / "alone" / "trainA", 3, 0)
    pictures(tmp_path / "three" / "x", 3, 0)
    pictures(tmp_path / "three" / "y", 3, 9)
    pictures(tmp_path / "three" / "z", 3, 20)
    (tmp_path / "empty").mkdir()
    cases = {
        str(tmp_path / "alone"): "has no images of the side 'B', only of 'A'.*trainB/",
        str(tmp_path / "three"): "must have two domains, and has 3 folders of images",
        str(tmp_path / "empty"): "holds no files",
        str(tmp_path / "absent"): "no such file or folder",
        "digits": "takes two data sets with a comma between them, not 1",
        "digits,": "takes two data sets with a comma between them, not 1",
        "digits,digits,digits": "not 3",
        f"digits,{tmp_path / 'three' / 'x'}": "different shapes, 1x8x8 and 3x64x64 — give an image_shape",
    }
    for spec, words in cases.items():
        with pytest.raises(DataError, match=words) as error:
            open_data(f"unpaired:{spec}")
        assert "\n" not in str(error.value)


def test_horses_and_zebras_have_their_published_split(make, tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"has no horse2zebra_96\.npz"):
        open_data("horse2zebra")
    domain, test = np.array([0] * 12 + [1] * 18), np.arange(30) % 6 == 5
    files = [make.encoded(np.full((8, 8, 3), 8 * number, np.uint8), "PNG") for number in range(30)]
    columns = {"domain": domain, "test": test, "path": np.arange(30).astype(str)}
    np.savez(tmp_path / "horse2zebra_96.npz", **make.end_to_end(files, "jpeg"), **columns)
    for split, chosen in (("train", ~test), ("test", test)):
        found = open_data("horse2zebra", split=split)
        for place, name in enumerate(("horse", "zebra")):
            rows = np.flatnonzero(chosen & (domain == place))
            assert sides(found)[place].tolist() == (8 * rows).tolist()
            assert found.domains[place].facts["domain"] == name and found.domains[place].split == split
        # the same images, as one set with labels
        labelled = open_data("horses-zebras", split=split)
        assert labelled.pixels.tobytes() == b"".join(side.pixels.tobytes() for side in found.domains)
        assert labelled.class_names == ("horse", "zebra") and labelled.split == split
        assert labelled.labels.tolist() == [0] * len(found) + [1] * len(found.other)
        assert labelled.other is None and "domain" not in labelled.facts
