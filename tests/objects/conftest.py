"""A LocalObjects with one bucket, on SQLite."""

import pytest

from farero.objects.local import LocalObjects
from farero.store.engine import Store
from farero.store.migrations import upgrade


@pytest.fixture
def sqlite(tmp_path):
    """A migrated SQLite database in a file."""
    opened = Store(f"sqlite:///{tmp_path / 'state.db'}")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def root(tmp_path):
    """The folder of object files."""
    return tmp_path / "objects"


@pytest.fixture
def objects(sqlite, root, clock):
    """Objects with the bucket `things`."""
    made = LocalObjects(sqlite, root, clock)
    made.ensure_bucket("things")
    return made


@pytest.fixture
def files(root):
    """Returns the object files that are there, settled or not."""
    return lambda: sorted(path for path in root.rglob("*") if path.is_file())
