"""Saving pictures, each marked as made by a model in a way that other programs understand.

The mark is IPTC's digital source type "trained algorithmic media" in XMP (IPTC Photo Metadata Standard 2023.1, section
"Digital Source Type"). It says how the picture came to be and nothing else: no prompt, no name, no id.
"""

import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}" xmp:CreatorTool="Dreambot"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


QUALITY, EFFORT = 92, 2
"""Of WebP: half the time of Pillow's usual effort, and files a twentieth larger."""
SMALL_PIXELS = 256 * 256


def ending_for(size: tuple[int, int]) -> str:
    """Return the ending that a picture of so many pixels is saved with when nobody asks for another.

    WebP at this quality is a seventh of PNG; what is small is small as PNG too, and will be enlarged to be looked at.
    """
    return ".png" if size[0] * size[1] < SMALL_PIXELS else ".webp"


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG or WebP, by the path's suffix, with the mark; a reader never sees half a file."""
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    if path.suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP)
        picture.save(unfinished, pnginfo=info)
    elif path.suffix == ".webp":
        picture.save(unfinished, xmp=XMP.encode(), quality=QUALITY, method=EFFORT)
    else:
        raise ValueError(f"pictures are saved as .png or .webp, not {path.suffix}")
    unfinished.replace(path)
