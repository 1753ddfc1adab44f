#!/usr/bin/env python3
"""Says whether a binary runs with libraries as old as a board's.

Looks at what the binary wants from other libraries: versions of glibc's symbols (GLIBC_2.27 and the
like), and functions of GLib and GStreamer, whose age the headers and GIR files of a newer sysroot tell.
A function of theirs whose age is unknown counts as too new. Needs readelf.
"""

import argparse
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

GLIB = "{http://www.gtk.org/introspection/glib/1.0}"
C = "{http://www.gtk.org/introspection/c/1.0}"

# There since GStreamer 1.0, but GIR lists no variables and nothing that begins with an underscore.
UNLISTED = {"_gst_debug_category_new": (1, 0), "gst_memory_alignment": (1, 0)}


def version(text):
    """"1.14" as (1, 14)."""
    return tuple(int(part) for part in text.rstrip(".").split("."))


def wanted(binary):
    """Undefined dynamic symbols of `binary`: (name, version or None).

    Without those of GLIBC_PRIVATE that may be missing: every glibc has that version.
    """
    listing = subprocess.run(
        ["readelf", "--dyn-syms", "--wide", binary], check=True, capture_output=True, text=True
    ).stdout
    for line in listing.splitlines():
        field = line.split()
        if len(field) >= 8 and field[6] == "UND":
            name, _, needed = field[7].partition("@")
            if not (field[4] == "WEAK" and needed == "GLIBC_PRIVATE"):
                yield name, needed.lstrip("@") or None


def gir_ages(path):
    """Function -> version of its library that brought it, (0,) where it was there from the start."""
    ages = {}

    def walk(element, since):
        since = element.get("version", since)
        for key in (f"{C}identifier", f"{GLIB}get-type"):
            if name := element.get(key):
                ages[name] = version(since)
        for child in element:
            walk(child, since)

    root = ElementTree.parse(path).getroot()
    for namespace in root.iter("{http://www.gtk.org/introspection/core/1.0}namespace"):
        for child in namespace:
            walk(child, "0")
    return ages


def header_ages(folder):
    """The same from GLib's headers, which mark each function with `GLIB_AVAILABLE_IN_2_58`.

    `GLIB_DEPRECATED_IN_2_54` stands in its place later on: such a function is at least that old.
    """
    ages = {}
    mark = re.compile(r"\b[A-Z_]+_(?:AVAILABLE|DEPRECATED)_IN_(ALL|\d+_\d+)(?:_FOR\s*\([^)]*\))?([^;{]*)")
    for path in folder.rglob("*.h"):
        for since, declaration in mark.findall(path.read_text(errors="replace")):
            age = (0,) if since == "ALL" else version(since.replace("_", "."))
            for name in re.findall(r"\b(_?g_\w+)\s*\(", declaration)[:1]:
                ages[name] = age
    return ages


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--sysroot", type=pathlib.Path, required=True)
    for library in ("glibc", "glib", "gstreamer"):
        parser.add_argument(f"--{library}", type=version, required=True, metavar="VERSION")
    arguments = parser.parse_args()

    glib = header_ages(arguments.sysroot / "usr/include/glib-2.0")
    gstreamer = dict(UNLISTED)
    for path in (arguments.sysroot / "usr/share/gir-1.0").glob("Gst*.gir"):
        gstreamer.update(gir_ages(path))

    too_new, counts = [], {"glibc": 0, "GLib": 0, "GStreamer": 0}
    for name, needed in wanted(arguments.binary):
        if needed and needed.startswith("GLIBC_"):
            counts["glibc"] += 1
            if needed == "GLIBC_PRIVATE" or version(needed.removeprefix("GLIBC_")) > arguments.glibc:
                too_new.append(f"{name} of {needed}")
        for prefix, library, ages, most in (
            ("gst_", "GStreamer", gstreamer, arguments.gstreamer),
            ("g_", "GLib", glib, arguments.glib),
        ):
            if name.lstrip("_").startswith(prefix):
                counts[library] += 1
                age = ages.get(name)
                if age is None or age > most:
                    since = "unknown" if age is None else ".".join(map(str, age))
                    too_new.append(f"{name} of {library} {since}")
    if too_new or 0 in counts.values():
        told = ", ".join(sorted(too_new)) or f"no symbols of a library at all: {counts}"
        sys.exit(f"error: {arguments.binary} needs what the board lacks: {told}")
    told = ", ".join(f"{count} of {library}" for library, count in counts.items())
    print(f"{arguments.binary}: no symbol newer than the board's libraries ({told})")


if __name__ == "__main__":
    main()
