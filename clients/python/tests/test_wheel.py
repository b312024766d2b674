"""What is in the wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]


@pytest.mark.skipif(not (ROOT / "LICENSE-MIT").exists(), reason="the licences are in the store's repository")
def test_the_wheel_has_the_licences_and_all_modules(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        info = f"{wheel.name.split('-py3')[0]}.dist-info"
        for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
            assert files.read(f"{info}/licenses/{licence}") == (ROOT / licence).read_bytes()
            assert f"License-File: {licence}" in files.read(f"{info}/METADATA").decode()
    modules = {str(it.relative_to(PACKAGE / "src")) for it in (PACKAGE / "src").rglob("*.py")}
    assert modules <= names and "conversation_store/py.typed" in names
