from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from gpu_worker.engine.provenance import SOURCE_TYPE, save_picture

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
XMP = "{http://ns.adobe.com/xap/1.0/}"


@pytest.mark.parametrize("name", ["picture.png", "picture.webp"])
def test_every_picture_says_that_a_model_made_it_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_picture(Image.new("RGB", (8, 8), "red"), path)
    with Image.open(path) as opened:
        text = opened.info["xmp"].decode()
        assert not {"parameters", "prompt", "Comment"} & set(opened.info)
    packet = ElementTree.fromstring(text[text.index("<x:") : text.rindex(">", 0, text.rindex("<?")) + 1])
    described = packet.find(f".//{RDF}Description")
    assert described is not None
    assert described.attrib == {
        f"{RDF}about": "",
        f"{IPTC}DigitalSourceType": SOURCE_TYPE,
        f"{XMP}CreatorTool": "Dreambot",
    }
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.gif"):
        save_picture(Image.new("RGB", (8, 8)), tmp_path / "picture.gif")
