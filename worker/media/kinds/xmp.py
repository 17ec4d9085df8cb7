"""Reads which kinds of personal data an XMP packet holds (ISO 16684-1), in whatever prefixes and encoding.

No XML parser: packets are often broken, cut or joined, and an entity could swell. Names count, values do not, but for
the two that say what a picture is (IPTC digital source type, container item).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from html import unescape

# Namespace -> the prefix under which the table below knows it; the address's end without its slash or hash.
_SPACES: dict[str, str] = {
    "http://ns.adobe.com/exif/1.0": "exif",
    "http://ns.adobe.com/exif/1.0/aux": "aux",
    "http://cipa.jp/exif/1.0": "exifEX",
    "http://ns.adobe.com/tiff/1.0": "tiff",
    "http://purl.org/dc/elements/1.1": "dc",
    "http://purl.org/dc/terms": "dcterms",
    "http://ns.adobe.com/xap/1.0": "xmp",
    "http://ns.adobe.com/xap/1.0/mm": "xmpMM",
    "http://ns.adobe.com/xap/1.0/rights": "xmpRights",
    "http://ns.adobe.com/xap/1.0/g/img": "xmpGImg",
    "http://ns.adobe.com/xap/1.0/stype/resourceevent": "stEvt",
    "http://ns.adobe.com/xap/1.0/stype/resourceref": "stRef",
    "http://ns.adobe.com/xmp/1.0/dynamicmedia": "xmpDM",
    "http://ns.adobe.com/photoshop/1.0": "photoshop",
    "http://ns.adobe.com/camera-raw-settings/1.0": "crs",
    "http://ns.adobe.com/lightroom/1.0": "lr",
    "http://ns.adobe.com/pdf/1.3": "pdf",
    "http://ns.adobe.com/hdr-gain-map/1.0": "hdrgm",
    "http://iptc.org/std/iptc4xmpcore/1.0/xmlns": "Iptc4xmpCore",
    "http://iptc.org/std/iptc4xmpext/2008-02-29": "Iptc4xmpExt",
    "http://ns.useplus.org/ldf/xmp/1.0": "plus",
    "http://www.metadataworkinggroup.com/schemas/regions": "mwg-rs",
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.2": "MP",
    "http://ns.microsoft.com/photo/1.2/t/region": "MPReg",
    "http://ns.google.com/photos/1.0/depthmap": "GDepth",
    "http://ns.google.com/photos/1.0/image": "GImage",
    "http://ns.google.com/photos/1.0/audio": "GAudio",
    "http://ns.google.com/photos/1.0/panorama": "GPano",
    "http://ns.google.com/photos/1.0/camera": "GCamera",
    "http://ns.google.com/photos/1.0/creations": "GCreations",
    "http://ns.google.com/photos/dd/1.0/device": "Device",
    "http://ns.apple.com/hdrgainmap/1.0": "HDRGainMap",
    "http://ns.apple.com/faceinfo/1.0": "apple-fi",
    "http://ns.apple.com/pixeldatainfo/1.0": "apple-pi",
    "http://ns.apple.com/depthdata/1.0": "depthData",
    "http://www.dji.com/drone-dji/1.0": "drone-dji",
    "http://www.digikam.org/ns/1.0": "digiKam",
    "http://ns.acdsee.com/iptc/1.0": "acdsee",
    "http://creativecommons.org/ns": "cc",
    "http://darktable.sf.net": "darktable",
    "http://www.gimp.org/xmp": "GIMP",
}
# Prefixes of old or sloppy writers, for names whose namespace is not declared in what could be read.
_ALIASES = {"xap": "xmp", "xapMM": "xmpMM", "xapRights": "xmpRights", "Camera": "GCamera", "xapGImg": "xmpGImg"}
_PREFIXES = frozenset(_SPACES.values())
_TABLE: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "location",
            r"exif:GPS(?!TimeStamp|DateStamp|VersionID).+|photoshop:(?:City|State|Country)"
            r"|Iptc4xmpCore:(?:Location|CountryCode|CiAdr\w+)|Iptc4xmpExt:(?:Location\w+|City|Sublocation|ProvinceState"
            r"|Country\w+|WorldRegion)|GPano:Pose\w+|drone-dji:(?:G[Pp][Ss]|Relative|Absolute|Longtitude|Latitude).*"
            r"|drone-dji:Longitude|dc:coverage|dcterms:spatial",
        ),
        (
            "camera",
            r"tiff:(?:Make|Model)|aux:Lens\w*|exifEX:Lens\w+|exif:Lens\w*|crs:CameraProfile\w*|xmpDM:camera\w+"
            r"|MicrosoftPhoto:(?:Lens|Camera)(?:Manufacturer|Model)|MicrosoftPhoto:Flash(?:Manufacturer|Model)",
        ),
        (
            "serial_number",
            r"(?:aux|exifEX):\w*SerialNumber|exifEX:LensSerialNumber|aux:LensSerialNumber|exif:ImageUniqueID"
            r"|MicrosoftPhoto:CameraSerialNumber|drone-dji:\w*SerialNumber|GCreations:CameraBurstID|GCamera:BurstID",
        ),
        (
            "owner_name",
            r"dc:(?:creator|rights|publisher|contributor)|aux:OwnerName|exifEX:(?:CameraOwnerName|Photographer"
            r"|ImageEditor)|photoshop:(?:Credit|Source|AuthorsPosition|CaptionWriter)|tiff:(?:Artist|Copyright)"
            r"|xmpRights:.+|Iptc4xmpCore:(?:CreatorContactInfo|Ci\w+)|plus:\w*(?:Name|ID|Creator|Owner|Supplier)\w*"
            r"|pdf:Author|xmpDM:(?:artist|album|director\w*)|acdsee:author|cc:\w+|xmp:Authors?|xmp:Owner\w*|photoshop:(?:Author|Copyright)|dc:(?:rightsHolder|source|identifier)",
        ),
        (
            "face_regions",
            r"mwg-rs:(?:Regions|RegionList|Name|Area|Type)|MP:RegionInfo|MPReg:\w+|apple-fi:\w+"
            r"|Iptc4xmpExt:(?:PersonInImage\w*|ImageRegion)",
        ),
        (
            "timestamps",
            r"xmp:\w*Date|photoshop:DateCreated|exif:DateTime\w+|exif:GPS(?:Time|Date)Stamp|tiff:DateTime|stEvt:when"
            r"|dc:date|dcterms:(?:created|modified|dateCopyrighted)|MicrosoftPhoto:DateAcquired|xmpDM:shotDate"
            r"|exifEX:\w*Time\w*|pdf:(?:Creation|Mod)Date|acdsee:datetime|GPano:(?:First|Last)PhotoDate|stRef:lastModifyDate|GIMP:TimeStamp",
        ),
        ("thumbnail", r"xmp:Thumbnails|xmpGImg:\w+"),
        ("depth_map", r"GDepth:\w+|depthData:\w+|Device:(?:Camera|Profile)\w*"),
        ("second_picture", r"GImage:\w+|apple-pi:AuxiliaryImageType|stRef:alternatePaths"),
        ("gain_map", r"hdrgm:\w+|HDRGainMap:\w+"),
        ("embedded_video", r"GCamera:(?:MotionPhoto|MicroVideo)\w*"),
        ("attachments", r"GAudio:\w+"),
        (
            "edit_history",
            r"xmpMM:.+|stEvt:(?!when).+|stRef:.+|crs:(?!CameraProfile).+|digiKam:ImageHistory|darktable:.+"
            r"|photoshop:(?:DocumentAncestors|History|TextLayers|SidecarForExtension)"
            r"|exifEX:(?:ImageEditingSoftware|MetadataEditingSoftware|RAWDevelopingSoftware)",
        ),
        ("provenance", r"dcterms:provenance"),
        ("maker_notes", r"GCamera:(?:HdrPlusMakernote|hdrp_makernote|shot_log_data)|aux:(?:ImageNumber|Firmware)"),
        (
            "software",
            r"xmp:CreatorTool|tiff:Software|stEvt:softwareAgent|pdf:Producer|Iptc4xmpExt:AISystem\w*"
            r"|GPano:(?:Stitching|Capture)Software|exifEX:CameraFirmware|GIMP:(?:Version|Platform|API)",
        ),
        (
            "comment",
            r"exif:UserComment|photoshop:(?:Instructions|TransmissionReference)|xmp:(?:Label|Nickname)|plus:OtherConditions",
        ),
        (
            "caption",
            r"dc:(?:title|description|subject)|xmp:(?:Title|Keywords|Description)|photoshop:(?:Headline|Category|SupplementalCategories|Layer\w+|Caption|Keywords|Title)|digiKam:TagsList"
            r"|tiff:ImageDescription|lr:\w+|exifEX:ImageTitle|Iptc4xmpExt:(?:Event|ArtworkOrObject|AIPrompt\w*)|pdf:"
            r"(?:Title|Keywords|Subject)|MicrosoftPhoto:LastKeyword\w+|acdsee:(?:caption|keywords|categories|notes)"
            r"|Iptc4xmpCore:(?:Scene|SubjectCode|ExtDescrAccessibility|AltTextAccessibility|IntellectualGenre)",
        ),
    )
)
# http://cv.iptc.org/newscodes/digitalsourcetype/
_AI = re.compile(
    r"digitalsourcetype/(?:compositeWithT|t)rainedAlgorithmicMedia|digitalsourcetype/algorithmicMedia", re.I
)
_AI_BARE = re.compile(
    r"DigitalSourceType\W{1,40}(?:(?:compositeWithT|t)rainedAlgorithmicMedia|algorithmicMedia)\b", re.I
)
# Items of a container directory (Ultra HDR, Motion Photo 1.0), by what they are said to be.
_ITEMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("embedded_video", re.compile(r"\bSemantic\W{1,6}MotionPhoto|\bMime\W{1,6}video/")),
    ("gain_map", re.compile(r"\bSemantic\W{1,6}GainMap")),
    ("depth_map", re.compile(r"\bSemantic\W{1,6}Depth")),
)
_DECLARED = re.compile(r"xmlns(?::([\w.-]{1,64}))?\s{0,20}=\s{0,20}[\"']([^\"'<>]{1,200})[\"']")
_NAME = re.compile(r"(?:^|</?|\s)([A-Za-z_][\w.-]{0,63}):([A-Za-z_][\w.-]{0,63})(?=\s{0,20}[=/>\s])")
_PLAIN_NAME = re.compile(r"<([A-Za-z_][\w.-]{0,63})(?=[\s/>])")
_MOST_NAMES = 20_000


def kinds_in(packet: bytes) -> Iterator[str]:
    """Each kind once for every property that stands for it; nothing where no property is known."""
    text = _text(packet)
    for name in _names(text):
        yield from kinds_of(name)
    for kind, pattern in _ITEMS:
        if pattern.search(text):
            yield kind
    if is_ai(text):
        yield "ai_generated"


@functools.lru_cache(maxsize=4096)
def kinds_of(name: str) -> tuple[str, ...]:
    """What a property stands for, by its usual prefix and its name (`dc:creator`)."""
    return tuple(kind for kind, pattern in _TABLE if pattern.fullmatch(name))


def is_ai(text: str) -> bool:
    """Whether a digital source type says that a model made the picture or a part of it."""
    return bool(_AI.search(text) or _AI_BARE.search(text))


def _text(packet: bytes) -> str:
    """Zeros around the first angle bracket, and where in its unit it lies, tell UTF-32 and UTF-16. Names are ASCII, so
    Latin-1 reads UTF-8's."""
    at = max(packet[:400].find(b"<"), 0)
    encoding = "latin-1"
    if at % 4 == 0 and packet[at + 1 : at + 4] == b"\0\0\0":
        encoding = "utf-32-le"
    elif at % 4 == 3 and packet[at - 3 : at] == b"\0\0\0":
        encoding = "utf-32-be"
    elif at % 2 == 0 and packet[at + 1 : at + 2] == b"\0":
        encoding = "utf-16-le"
    elif at % 2 and packet[at - 1 : at] == b"\0":
        encoding = "utf-16-be"
    return packet.decode(encoding, "replace")


def _names(text: str) -> set[str]:
    """Every property's name, its prefix the usual one of its namespace."""
    prefixes: dict[str, set[str]] = {}
    for match in _DECLARED.finditer(text):
        space = _SPACES.get(unescape(match[2]).rstrip("/#").lower())
        prefixes.setdefault(match[1] or "", set()).add(space or "?")
    found: set[str] = set()
    for match in _NAME.finditer(text):
        prefix = match[1]
        for space in prefixes.get(prefix) or {_ALIASES.get(prefix, prefix)}:
            found.add(f"{space}:{match[2]}")
        if len(found) > _MOST_NAMES:
            return found
    for space in prefixes.get("", set()) & _PREFIXES:
        found |= {f"{space}:{match[1]}" for match in _PLAIN_NAME.finditer(text)}
    return found
