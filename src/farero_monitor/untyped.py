"""Libraries without types, as Any once and for all instead of in every file that uses them."""

# pyright: reportMissingTypeStubs=false
from __future__ import annotations

from typing import Any

import datasketches as _datasketches
import pyarrow as _pyarrow  # noqa: ICN001 - not the name it is used by
import pyarrow.compute as _compute
import pyarrow.csv as _csv
import pyarrow.parquet as _parquet

pa: Any = _pyarrow
pc: Any = _compute
arrow_csv: Any = _csv
pq: Any = _parquet
datasketches: Any = _datasketches
