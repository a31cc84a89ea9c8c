"""What glassnet depends on, and the least versions that are free of known holes.

``python -m cases.dependencies`` (with tests/ in PYTHONPATH) prints the least version of each that is allowed.
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]

MINIMA = {
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "filelock": ("3.20.3", "CVE-2025-68146, CVE-2026-22701"),
    "fonttools": ("4.60.2", "CVE-2025-66034, CVE-2023-45139"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516, CVE-2024-56201"),
    "joblib": ("1.2.0", "CVE-2022-21797"),
    "numpy": ("1.22.2", "CVE-2021-41495, CVE-2021-41496"),
    "onnx": ("1.21.0", "CVE-2026-27489, CVE-2026-34445, CVE-2026-34446, CVE-2026-28500, CVE-2025-51480"),
    "pillow": ("12.2.0", "CVE-2026-40192, CVE-2026-25990, CVE-2025-48379"),
    "protobuf": ("6.33.5", "CVE-2026-0994, CVE-2025-4565"),
    "pyarrow": ("23.0.1", "CVE-2026-25087, CVE-2023-47248"),
    "pydantic": ("2.4.0", "CVE-2024-3772"),
    "pygments": ("2.20.0", "CVE-2026-4539, CVE-2022-40896"),
    "pytest": ("9.0.3", "CVE-2025-71176"),
    "pyyaml": ("5.4", "CVE-2020-14343"),
    "requests": ("2.33.0", "CVE-2026-25645, CVE-2024-47081"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),
    "scipy": ("1.10.0", "CVE-2023-25399, CVE-2023-29824"),
    "starlette": ("1.3.1", "CVE-2026-54283, CVE-2026-48818, CVE-2026-48710, CVE-2025-62727, CVE-2024-47874"),
    "torch": ("2.12.1", "CVE-2025-3000, CVE-2026-24747, CVE-2025-32434"),
    "tqdm": ("4.66.3", "CVE-2024-34062"),
    "urllib3": ("2.6.3", "CVE-2026-21441, CVE-2025-66418, CVE-2025-66471"),
    "uvicorn": ("0.11.7", "CVE-2020-7694, CVE-2020-7695"),
    "virtualenv": ("20.36.1", "CVE-2026-22702, CVE-2024-53899"),
    "websockets": ("9.1", "CVE-2021-33880"),
    "werkzeug": ("3.1.6", "CVE-2026-27199, CVE-2026-21860, CVE-2025-66221"),
}
"""By package: the first version in which these holes are closed. That is so whether or not glassnet comes near them."""


def declared() -> dict[str, Requirement]:
    """The requirements of pyproject.toml by group and name: of building, of the library, of each extra."""
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {"build": tree["build-system"]["requires"], "": tree["project"]["dependencies"]}
    groups |= tree["project"]["optional-dependencies"]
    requirements = [(group, Requirement(text)) for group, texts in groups.items() for text in texts]
    return {f"{group}:{need.name}": need for group, need in requirements if need.name != "glassnet"}


def pins() -> dict[str, Version]:
    """The pinned versions by canonical name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return {canonicalize_name(name): Version(version) for name, _, version in (line.partition("==") for line in lines)}


def lower_bound(need: Requirement) -> Version | None:
    """The least version that is allowed, or None."""
    bounds = [Version(one.version) for one in need.specifier if one.operator in (">=", "==", "~=")]
    return max(bounds, default=None)


if __name__ == "__main__":
    found = {canonicalize_name(need.name): lower_bound(need) for need in declared().values()}
    sys.stdout.write("".join(f"{name}=={version}\n" for name, version in sorted(found.items())))
