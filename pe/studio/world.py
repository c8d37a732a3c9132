"""All that Studio knows: SUBJECTS and FLAVORS, by name, with every module of theirs loaded."""

import importlib

from pe.studio.flavor import FLAVORS as FLAVORS
from pe.studio.subject import SUBJECTS as SUBJECTS

SUBJECT_MODULES = (
    "animals", "wild", "figures", "buildings", "vehicles", "things", "nature", "sky",
)  # fmt: skip
FLAVOR_MODULES = ("light", "tint", "camera", "paint", "graphic", "instrument", "craft", "flaw")

for _name in SUBJECT_MODULES:
    importlib.import_module(f"pe.studio.subjects.{_name}")
for _name in FLAVOR_MODULES:
    importlib.import_module(f"pe.studio.flavors.{_name}")
