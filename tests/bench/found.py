"""Prints for which pictures ExifTool sees a kind that Mayfly does not report: `python -m tests.bench.found FOLDER`.

Two readers of the same files: ours walks in this process, ExifTool in its own. What only the other one sees is listed
by file, with the tags that it took for that kind; none of their values is shown.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.darkroom import LIMITS
from worker.errors import Unprocessable
from worker.media.formats import sniff
from worker.media.image.metadata import removed
from worker.media.image.probe import probe

# Groups (of families 0 and 1) and tag -> kind, first match wins; None: what says nothing of anybody, or how pixels lie.
_VIEW: tuple[tuple[str | None, tuple[str, ...]], ...] = (
    (
        None,
        (
            r"(?:File|ExifTool|Composite|System|SourceFile|JFIF|RIFF|GIF|BMP):(?!.*(?:Comment|Thumbnail|Software)).*",
            r"File:System:.*|APP14:Adobe:.*|APP13:AdobeCM:.*|ICC_Profile:.*:Profile(?:CMMType|Version|Class|FileSignature)",
            r".*:(?:GPSVersionID|ExifByteOrder|CurrentIPTCDigest|PrintIMVersion|XMPToolkit|About)",
        ),
    ),
    ("colour_profile", (r"ICC_Profile:.*",)),
    ("thumbnail", (r".*:(?:ThumbnailImage|ThumbnailTIFF|PhotoshopThumbnail|ObjectPreviewData|ThumbnailOffset)",)),
    ("second_picture", (r"MPF:.*",)),
    ("embedded_video", (r".*:(?:MotionPhoto|MicroVideo|EmbeddedVideo\w*|MotionPhotoVideo)",)),
    ("provenance", (r"JUMBF:.*|.*:C2PA\w*",)),
    (
        "serial_number",
        (
            r"(?!MakerNotes).*:(?:(?:Body|Camera|Lens|Internal)?SerialNumber|ImageUniqueID|UniqueID)",
            r"MakerNotes:.*:(?:(?:Internal|Body|Camera|Lens)?SerialNumber|MediaGroupUUID|BurstUUID|ImageUniqueID)",
        ),
    ),
    ("owner_name", (r"MakerNotes:.*:(?:OwnerName|BabyName)",)),
    (
        "face_regions",
        (
            r"MakerNotes:.*:(?:FacesDetected|FaceDetect|FaceName|FaceRecInfo).*",
            r"XMP:.*:(?:Region(?:Name|Type|Area|Info)\w*|PersonInImage\w*)|XMP:XMP-(?:mwg-rs|MP):.*",
        ),
    ),
    ("maker_notes", (r"MakerNotes:.*|PrintIM:.*|APP\d+:.*|.*:PrintIM\w*",)),
    (
        "timestamps",
        (
            r"EXIF:.*:(?:GPS(?:Time|Date)Stamp|ModifyDate|DateTimeOriginal|CreateDate|OffsetTime\w*|SubSecTime\w*)",
            r"XMP:.*:(?:\w*Date(?:TimeOriginal|TimeDigitized|Created|Acquired)?|HistoryWhen|GPSDateTime)",
            r"IPTC:.*:(?:DateCreated|TimeCreated|Digital\w+|ReleaseDate|ReleaseTime|DateSent|TimeSent)",
            r"PNG:.*:(?:ModifyDate|CreateDate|CreationTime)|QuickTime:.*:(?:|Track|Media)(?:Create|Modify)Date",
        ),
    ),
    (
        "location",
        (
            r"EXIF:GPS:.*|XMP:.*:(?:GPS\w+|City|State|Country\w*|Location\w*|ProvinceState)|GeoTiff:.*",
            r"IPTC:.*:(?:City|Sub-location|Province-State|Country-.*|ContentLocation\w+)",
            r"EXIF:.*:(?:GeoTiff\w+|ModelTiePoint|PixelScale)",
        ),
    ),
    ("camera", (r"EXIF:.*:(?:Make|Model|LensModel|LensMake|LensInfo)|XMP:.*:(?:Make|Model|Lens\w*)",)),
    (
        "owner_name",
        (
            r"EXIF:.*:(?:Artist|Copyright|OwnerName|XPAuthor|HostComputer)|XMP:XMP-dc:(?:Creator|Rights)",
            r"XMP:.*:(?:OwnerName|Credit|Source|AuthorsPosition|Marked|WebStatement|Owner|UsageTerms)",
            r"IPTC:.*:(?:By-line\w*|Credit|Source|CopyrightNotice|Contact|Writer-Editor)",
        ),
    ),
    (
        "software",
        (
            r"EXIF:.*:(?:Software|ProcessingSoftware)|XMP:.*:CreatorTool|PNG:.*:Software",
            r"IPTC:.*:(?:OriginatingProgram|ProgramVersion)",
        ),
    ),
    ("comment", (r"EXIF:.*:UserComment|File:.*Comment|GIF:.*Comment|IPTC:.*:SpecialInstructions",)),
    (
        "caption",
        (
            r"EXIF:.*:(?:ImageDescription|XP\w+|DocumentName|PageName)|XMP:XMP-dc:(?:Title|Description|Subject)",
            r"XMP:.*:Headline",
            r"IPTC:.*:(?:Caption-Abstract|Headline|ObjectName|Keywords|Category|SupplementalCategories)",
        ),
    ),
    ("edit_history", (r"Photoshop:.*|XMP:XMP-(?:xmpMM|crs):.*|XMP:.*:(?:DocumentAncestors|History\w*)",)),
    ("gain_map", (r"XMP:XMP-(?:hdrgm|HDRGainMap):.*",)),
    ("depth_map", (r"XMP:XMP-(?:GDepth|Device):.*",)),
)
_PATTERNS = tuple((kind, re.compile("|".join(patterns))) for kind, patterns in _VIEW)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One picture: what we report, and what only the other reader sees (kind -> its tags)."""

    path: Path
    ours: dict[str, int]
    missed: dict[str, list[str]]


def compared(paths: list[Path]) -> list[Seen]:
    """Those that our walkers take; needs ExifTool."""
    ours = {path: kinds for path in paths if (kinds := told(path)) is not None}
    theirs = viewed(list(ours))
    return [_compared(path, kinds, theirs.get(path, {})) for path, kinds in ours.items()]


def told(path: Path) -> dict[str, int] | None:
    data = path.read_bytes()
    fmt = sniff(data[:4096])
    if fmt is None or fmt.work_class != "image":
        return None
    try:
        return removed(probe(data, fmt, LIMITS).carriers)
    except Unprocessable:
        return None


def viewed(paths: list[Path]) -> dict[Path, dict[str, list[str]]]:
    """Kind -> tags of each picture, as ExifTool sees it."""
    names = "\n".join(str(path) for path in paths)
    argv = ["exiftool", "-j", "-a", "-u", "-ee", "-G0:1", "-@", "-"]
    said = subprocess.run(argv, input=names, capture_output=True, text=True, check=False, errors="replace")
    found: dict[Path, dict[str, list[str]]] = {}
    for row in json.loads(said.stdout or "[]"):
        kinds = found.setdefault(Path(row["SourceFile"]), {})
        for tag, value in row.items():
            kind = next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(tag)), None)
            if kind and value != "" and not str(value).startswith("0000:00:00"):
                kinds.setdefault(kind, []).append(tag)
    return found


def _compared(path: Path, ours: dict[str, int], theirs: dict[str, list[str]]) -> Seen:
    return Seen(path=path, ours=ours, missed={kind: tags for kind, tags in theirs.items() if kind not in ours})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    seen = compared(sorted(path for path in folder.rglob("*") if path.is_file()))
    for each in seen:
        for kind, tags in each.missed.items():
            print(f"{each.path.relative_to(folder)}: {kind}: {', '.join(tags[:4])}")
    missed = Counter(kind for each in seen for kind in each.missed)
    told_of = Counter(kind for each in seen for kind in each.ours)
    some = sum(1 for each in seen if each.missed)
    print(f"{len(seen)} pictures, {some} with a kind that only ExifTool sees: {dict(missed)}")
    print(f"reported: {dict(told_of.most_common())}")


if __name__ == "__main__":
    main()
