"""Rooms: environments of their own, in which packages are installed as their authors and users do it. Nothing
is fetched."""

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

PIP = (
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-index",
    "--no-deps",
    "--no-build-isolation",
)


class Room:
    """A virtual environment that also sees the packages of this one, with a folder and a cache of its own."""

    def __init__(self, folder):
        self.folder, self.cache = folder / "here", folder / "cache"
        self.folder.mkdir(parents=True)
        venv.create(folder / "venv", with_pip=False, symlinks=os.name != "nt")
        self.python = str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
        ask = [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        own = subprocess.run(ask, capture_output=True, encoding="utf-8", check=True).stdout.strip()
        around = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(around)]
        Path(own, "around.pth").write_text("".join(lines), encoding="utf-8")
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GENZOO_", "PYTHON", "PYTEST_", "PIP_", "COV_"))
        }
        self.env = {**clean, "GENZOO_CACHE": str(self.cache), "NO_COLOR": "1", "GENZOO_PLUGIN_TIMEOUT": "120"}

    def install(self, *packages):
        """Build the packages in these folders and install them."""
        self.run(*PIP, *packages)

    def genzoo(self, *args, **env):
        """Run a command of genzoo and return what it says on stdout."""
        return self.run("genzoo", *args, **env).stdout

    def run(self, module, *args, code=0, **env):
        """Run a module to its end; anything but the exit code `code` is a failure that shows what it said."""
        command = [self.python, *(("-W", "error") if module != "pip" else ()), "-m", module, *map(str, args)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == code, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done
