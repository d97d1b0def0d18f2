"""What peers are asked to do in `speed.py`, at pinned versions, each in an environment of its own.

An environment is made on first need below the user's cache folder (`scripts/client_envs.py`). A peer that does not
install, fails, or takes longer than the limit is told as such and has no figure.

`python benchmarks/monitoring/peers.py` makes the environments and says what was installed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import client_envs

#: What each needs beside itself to run at all stands here, too; a plain install of most does not.
PINS = {
    "DuckDB": ("duckdb==1.4.*",),
    "Evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "whylogs": (
        "whylogs==1.6.4", "numpy<2", "pandas<2.4", "pyarrow<20", "scipy", "ipython", "pybars3",
    ),
    "NannyML": ("nannyml==0.13.1", "pandas<2.4", "statsmodels", "pyarrow"),
    "TFDV": ("tensorflow-data-validation==1.16.1", "dill", "setuptools<81"),
    "pandas": ("pandas==3.0.*", "pyarrow"),
}  # fmt: skip

DUCKDB = """
import duckdb, sys
source = sys.argv[1]
read = f"read_csv('{source}')" if source.endswith("csv") else f"'{source}'"
columns = duckdb.sql(f"describe select * from {read}").fetchall()
numbers = [c[0] for c in columns if c[1] in ("DOUBLE", "BIGINT")]
texts = [c[0] for c in columns if c[1] == "VARCHAR"]
shares = [i / 50 for i in range(51)]
parts = ["count(*)"]
for name in numbers:
    parts += [f'count("{name}"), avg("{name}"), stddev_pop("{name}"), min("{name}"), max("{name}")']
    parts += [f'approx_quantile("{name}", {shares})']
for name in texts:
    parts += [f'count("{name}"), approx_count_distinct("{name}"), histogram("{name}")']
duckdb.sql("set threads = 2")
duckdb.sql(f"select {', '.join(parts)} from {read}").fetchall()
"""
PANDAS = """
import io, sys, pandas as pd
frame = pd.read_json(sys.argv[1], lines=True)
data = frame["captureData"]
rows = data.map(lambda d: d["endpointOutput"]["data"] + "," + d["endpointInput"]["data"])
table = pd.read_csv(io.StringIO("\\n".join(rows)), header=None)
table.describe(include="all")
"""
#: A baseline of the CSV file that is the first argument.
BASELINES = {
    "DuckDB": DUCKDB,
    "Evidently": """
import sys, pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataSummaryPreset
Report([DataSummaryPreset()]).run(Dataset.from_pandas(pd.read_csv(sys.argv[1])), None)
""",
    "whylogs": """
import sys, pandas as pd, whylogs
whylogs.log(pd.read_csv(sys.argv[1])).view().to_pandas()
""",
    "TFDV": """
import sys, tensorflow_data_validation as tfdv
tfdv.infer_schema(tfdv.generate_statistics_from_csv(sys.argv[1]))
""",
}
#: Whether the Parquet file that is the first argument has drifted from the one that is the second.
DRIFTS = {
    "DuckDB": DUCKDB,
    "Evidently": """
import sys, pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset
now, then = (Dataset.from_pandas(pd.read_parquet(path)) for path in sys.argv[1:])
Report([DataDriftPreset()]).run(now, then)
""",
    "whylogs": """
import sys, pandas as pd, whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores
now, then = (whylogs.log(pd.read_parquet(path)).view() for path in sys.argv[1:])
calculate_drift_scores(target_view=now, reference_view=then, with_thresholds=True)
""",
    "NannyML": """
import sys, nannyml, pandas as pd
now, then = (pd.read_parquet(path) for path in sys.argv[1:])
found = nannyml.UnivariateDriftCalculator(column_names=[*now.columns], chunk_number=10)
found.fit(then).calculate(now).to_df()
""",
    "TFDV": """
import sys, pandas as pd, tensorflow_data_validation as tfdv
now, then = (tfdv.generate_statistics_from_dataframe(pd.read_parquet(path)) for path in sys.argv[1:])
schema = tfdv.infer_schema(then)
for feature in schema.feature:
    if feature.type == 1:
        feature.drift_comparator.infinity_norm.threshold = 0.1
    else:
        feature.drift_comparator.jensen_shannon_divergence.threshold = 0.1
tfdv.validate_statistics(now, schema, previous_statistics=then)
""",
}


def main() -> int:
    """Make all environments; say what is in them."""
    for name, pins in PINS.items():
        print(f"{name:10} {', '.join(pins)}: {python(name)}", flush=True)
    return 0


def python(name: str) -> str:
    """Return the Python of a peer's environment, or why there is none, beginning with `not installed`."""
    client_envs.PINS[name.lower()] = PINS[name]
    try:
        return str(client_envs.ensure(name.lower()))
    except (subprocess.SubprocessError, OSError, SystemExit) as error:
        return f"not installed: {error}"


def commands(codes: dict[str, str], *arguments: str) -> dict[str, list[str]]:
    """Return the commands of the peers that are there; say of the others why not."""
    made: dict[str, list[str]] = {}
    for name, code in codes.items():
        found = python(name)
        if found.startswith("not installed"):
            print(f"  {name}: {found}", flush=True)
        else:
            made[name] = [found, "-c", code, *arguments]
    return made


if __name__ == "__main__":
    raise SystemExit(main())
