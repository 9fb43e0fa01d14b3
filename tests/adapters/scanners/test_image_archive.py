"""An image made without an engine."""

import hashlib
import json
import tarfile
from io import BytesIO

from tasks.adapters.scanners.image_archive import image_archive


def test_an_archive_is_the_same_for_the_same_files() -> None:
    """Two archives of the same files are equal byte for byte, so that what depends on one can be remembered."""
    assert image_archive({"a": "1", "b": "2"}) == image_archive({"b": "2", "a": "1"})
    assert image_archive({"a": "1"}) != image_archive({"a": "2"})


def test_an_archive_holds_its_files_and_names_its_layer() -> None:
    """The manifest leads to a configuration whose layer digest is that of the layer with the files."""
    with tarfile.open(fileobj=BytesIO(image_archive({"etc/hello": "world"}))) as archive:
        texts = {name: archive.extractfile(name) for name in archive.getnames()}
        content = {name: file.read() for name, file in texts.items() if file}
    (manifest,) = json.loads(content["manifest.json"])
    layer = content[manifest["Layers"][0]]
    configuration = json.loads(content[manifest["Config"]])

    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=BytesIO(layer)) as inner:
        file = inner.extractfile("etc/hello")
        assert file is not None
        assert file.read() == b"world"
