"""The picture of a report in the README: `python benchmarks/picture.py` draws it anew.

It needs a Chromium on the path, because the report is a web page; nothing else in the project does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from crossgate.config import load_config
from crossgate.job import run_job

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Runs the demo config and photographs the top of its report."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("the picture needs Chromium on the path")
    with tempfile.TemporaryDirectory() as folder:
        _, page = run_job(load_config(), Path(folder) / "demo")
        photograph(browser, page, PICTURE)
    print(PICTURE)


def photograph(browser: str, page: Path, picture: Path) -> None:
    """The top of a page as a PNG."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    flags = [
        "--headless",
        "--no-sandbox",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
        "--window-size=1180,1500",
    ]
    subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
