"""Formats of files: which are read as images, and what to do about the others that people have."""

from __future__ import annotations

from pathlib import PurePath

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA")
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".apng",
    ".webp",
    ".bmp",
    ".dib",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".avif",
    ".jp2",
    ".j2k",
    ".jpx",
    ".tga",
)
# as Pillow was built
OPTIONAL = {".avif": "AVIF", ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".jpx": "JPEG2000", ".webp": "WEBP"}

_PICTURE = "convert to JPEG or PNG"
_ARRAY = "save the images as an array: numpy.savez(path, images=...)"
_KINDS = {
    "HEIC": (_PICTURE, ".heic .heif .hif"),
    "JPEG XL": (_PICTURE, ".jxl"),
    "Photoshop": (_PICTURE, ".psd .psb"),
    "GIMP": (_PICTURE, ".xcf"),
    "camera raw": (
        "develop to JPEG, PNG or TIFF",
        ".dng .cr2 .cr3 .crw .nef .nrw .arw .sr2 .orf .rw2 .raf .pef .srw .raw",
    ),
    "icon": (_PICTURE, ".ico .icns .cur"),
    "SVG": ("draw it as PNG", ".svg .svgz"),
    "PDF": ("save its pages as PNG", ".pdf"),
    "PostScript": ("save it as PNG", ".ps .eps .ai"),
    "OpenEXR": ("map its tones to an 8-bit PNG", ".exr"),
    "Radiance HDR": ("map its tones to an 8-bit PNG", ".hdr"),
    "DICOM": ("window its values to an 8-bit PNG", ".dcm .dicom"),
    "NIfTI": (_ARRAY, ".nii"),
    "FITS": (_ARRAY, ".fits .fit"),
    "video": ("save its frames as PNG", ".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .flv .ogv .3gp"),
    "archive": ("unpack it", ".zip .tar .tgz .tbz2 .txz .gz .bz2 .xz .zst .7z .rar .cab .iso .lzma"),
    "table": (
        "save the images as files, or " + _ARRAY,
        ".parquet .arrow .feather .tfrecord .tfrecords .h5 .hdf5 .mat .mdb .lmdb",
    ),
    "single array": (_ARRAY, ".npy"),
    "Python objects": ("never loaded; " + _ARRAY, ".pkl .pickle .pt .pth .joblib"),
}
_BY_SUFFIX = {suffix: kind for kind, (_, suffixes) in _KINDS.items() for suffix in suffixes.split()}
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MAGIC = (
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?R", "Radiance HDR"),
    (128, b"DICM", "DICOM"),
    (0, b"\x1aE\xdf\xa3", "video"),
    (8, b"AVI ", "video"),
    (0, b"PK\x03\x04", "archive"),
    (0, b"\x1f\x8b", "archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "archive"),
    (0, b"Rar!", "archive"),
    (0, b"BZh", "archive"),
    (0, b"\xfd7zXZ", "archive"),
    (257, b"ustar", "archive"),
    (0, b"\x93NUMPY", "single array"),
)
HEAD = 4096  # bytes in which a kind is looked for

# What programs leave in folders, which is never meant as data.
LEFT_BEHIND = (
    "__macosx",
    "thumbs.db",
    "desktop.ini",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    "lost+found",
)


def foreign(name: str, head: bytes = b"") -> str:
    """Return which format that is not read the file `name`, which begins with `head`, has: "HEIC", "archive",
    ...; "" for none known.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return (
            "HEIC"
            if brand in _HEIF
            else "camera raw"
            if brand == b"crx "
            else ""
            if brand in (b"avif", b"avis")
            else "video"
        )
    return next((kind for start, magic, kind in _MAGIC if head[start : start + len(magic)] == magic), "")


def is_raw(name: str) -> bool:
    """Whether `name` is that of a camera's raw file: many are TIFF outside, and hold a thumbnail where a
    picture is looked for.
    """
    return _BY_SUFFIX.get(PurePath(name).suffix.lower()) == "camera raw"


def remedy(kind: str) -> str:
    """Return what to do about files of `kind` (see `foreign`)."""
    return _KINDS[kind][0]


def reason(kind: str) -> str:
    """Return `kind` and what to do about it, as a reason under which files are counted."""
    return f"{kind} ({remedy(kind)})"
