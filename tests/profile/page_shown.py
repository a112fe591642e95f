#!/usr/bin/env python3
"""What a browser makes of the page of a profile: page_shown.py CUTAPE WORK.

Profiles a training with the program CUTAPE, and shows the page in headless Chromium, wide and narrow, light and dark,
with page_check.js behind it. Exit status 77: there is no Chromium that runs here."""

import collections
import html
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import zlib

SKIPPED = 77
HERE = pathlib.Path(__file__).resolve().parent
EARLY = """<script>
window.wrong = [];
addEventListener("error", function (e) { wrong.push("error: " + e.message); });
addEventListener("securitypolicyviolation", function (e) { wrong.push("refused: " + e.violatedDirective); });
</script>"""
DARK = "--blink-settings=preferredColorScheme=0"


class Browser:
    def __init__(self, work):
        self.program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        self.work = work

    def run(self, page, *options):
        """The finished process, in a profile of its own."""
        command = [self.program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=5000",
                   f"--user-data-dir={self.work / 'chromium'}", *options, page]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def works(self):
        if not self.program:
            return False
        try:
            shown = self.run("data:text/html,<p>seen", "--dump-dom")
        except (OSError, subprocess.TimeoutExpired):
            return False
        return "<p>seen" in shown.stdout


def make_page(cutape, work):
    """Paths of the page and of the same profile as JSON."""
    page, table = work / "page.html", work / "page.json"
    subprocess.run([cutape, "profile", "--data", "spirals", "--device", "cpu", "--steps", "20", "--replays", "0",
                    "--dropout", "0.1", "--clip", "1", "--html", page, "--table", table],
                   check=True, stdout=subprocess.DEVNULL)
    return page, json.loads(table.read_text())


def colours_of(png):
    """How often each colour is there."""
    data = png.read_bytes()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
        at += length + 12
    n = {2: 3, 6: 4}[colour]
    assert depth == 8
    lines, size = zlib.decompress(packed), width * n
    counted, above = collections.Counter(), bytearray(size)
    for y in range(height):
        start = y * (size + 1)
        above = unfiltered(lines[start], bytearray(lines[start + 1 : start + 1 + size]), above, n)
        counted.update(zip(*(above[c::n] for c in range(3))))
    return counted


def unfiltered(kind, line, above, n):
    """A line of a PNG; see its specification, 9.2."""
    for i in range(len(line)) if kind else ():
        a, b, c = (line[i - n], above[i], above[i - n]) if i >= n else (0, above[i], 0)
        if kind == 4:
            p = a + b - c
            predicted = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        else:
            predicted = (0, a, b, (a + b) // 2)[kind]
        line[i] = (line[i] + predicted) & 255
    return line


def check(browser, page, profile, width, dark):
    """What is wrong with it at this width."""
    work = browser.work
    text = page.read_text()
    watched = work / "watched.html"
    watched.write_text(text.replace("<head>", "<head>" + EARLY, 1) +
                       "<script>" + (HERE / "page_check.js").read_text() + "</script>")
    options = [f"--window-size={width},900"] + ([DARK] if dark else [])
    shown = browser.run(watched.as_uri(), "--dump-dom", *options)
    found = re.search(r'<pre id="found">(.*?)</pre>', shown.stdout, re.S)
    if not found:
        return [f"the check did not run: {shown.stderr[-2000:]}"]
    found = json.loads(html.unescape(found[1]))
    wrong = found["wrong"] + re.findall(r".*CONSOLE.*", shown.stderr)
    rows = profile["rows"]
    expected = {
        "width": width, "dark": dark, "rows": len(rows),
        "dots": sum(1 for row in rows if row["flop"] and row["bytes"] and row["time_us"]),
        "values": sum(len(program["values"]) for program in profile["programs"]),
        "launches": sum(row["launches_per_call"] for row in rows),
        "sections": ["overview", "timeline", "roofline", "table", "pairs"] + ["memory"] * len(profile["programs"]),
    }
    wrong += [f"{name}: {found[name]}, not {value}" for name, value in expected.items() if found[name] != value]

    picture = work / f"{'dark' if dark else 'light'}-{width}.png"
    browser.run(page.as_uri(), f"--screenshot={picture}", *options)
    colours = colours_of(picture)
    ground, most = colours.most_common(1)[0]
    if len(colours) < 50 or most > 0.97 * colours.total():
        wrong.append(f"the picture is blank: {len(colours)} colours")
    if (sum(ground) < 3 * 128) != dark:
        wrong.append(f"the ground is {ground}")
    return wrong


def main(cutape, work):
    work = pathlib.Path(work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    browser = Browser(work)
    if not browser.works():
        print("skipped: no chromium that runs")
        return SKIPPED
    page, profile = make_page(cutape, work)
    wrong = [f"{width} wide, {'dark' if dark else 'light'}: {what}"
             for width, dark in ((1280, False), (1280, True), (800, False), (800, True))
             for what in check(browser, page, profile, width, dark)]
    print("\n".join(wrong) or "as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
