"""Beside pyproject.toml for one thing: a line that Python runs as it starts goes into site-packages, in every build.

It is what makes AUTOTRACK=1 in the environment suffice; without that it costs the look-up of one name.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

NAME = "autotrack-ml.pth"
LINE = (
    'import os; os.environ.get("AUTOTRACK") == "1" and '
    r'exec("try:\n from autotrack.launch import startup\n startup.begin()\nexcept Exception:\n pass")'
    "\n"
)


class WithStartUp(build_py):
    """Puts the line beside the package."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            Path(self.build_lib, NAME).write_text(LINE)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files that were built, with the line."""
        outputs = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, str(Path(self.build_lib, NAME))]


class EditableWithStartUp(editable_wheel):
    """Puts the line into the wheel that stands for an editable installation."""

    def run(self) -> None:
        super().run()
        (wheel,) = Path(self.dist_dir).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            files = {info: archive.read(info) for info in archive.infolist()}
        digest = base64.urlsafe_b64encode(hashlib.sha256(LINE.encode()).digest()).decode().rstrip("=")
        recorded = f"{NAME},sha256={digest},{len(LINE)}\n".encode()
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(NAME, LINE)
            for info, data in files.items():
                archive.writestr(info, recorded + data if info.filename.endswith(".dist-info/RECORD") else data)


setup(cmdclass={"build_py": WithStartUp, "editable_wheel": EditableWithStartUp})
