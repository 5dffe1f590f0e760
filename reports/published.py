"""The numbers that papers published, read from `configs/published/*.toml`, each with its source.

They are of other machines and other times: they stand beside measured numbers, in columns of their own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FOLDER = CONFIGS / "published"
NETWORKS = CONFIGS / "networks"


@cache
def numbers() -> pd.DataFrame:
    """One row per published number.

    Columns: experiment, network, title (the network's name in print), batch (images; 0 where the source does not say),
    workers (devices), column ("CPU", "GPU", "cuDNN", ...), value (images/s), hardware, software, table (title), source.
    """
    rows = []
    for path in sorted(FOLDER.glob("*.toml")):
        with path.open("rb") as file:
            table = tomllib.load(file)
        for row in table["row"]:
            for column, value in row["numbers"].items():
                rows.append(
                    {
                        "experiment": table["experiment"],
                        "network": row["network"],
                        "title": title(row["network"]),
                        "batch": row.get("batch", 0),
                        "workers": row.get("workers", 1),
                        "column": column,
                        "value": float(value),
                        "hardware": table["columns"][column],
                        "software": table["software"],
                        "table": table["title"],
                        "source": table["source"],
                    }
                )
    return pd.DataFrame(rows)


def sources(experiment: str, columns: Sequence[str] | None = None) -> list[str]:
    """One sentence per published table of the experiment: the source, and what each column was measured on. With
    `columns`, only what has one of them."""
    rows = numbers()
    rows = rows[rows["experiment"] == experiment]
    if columns is not None:
        rows = rows[rows["column"].isin(columns)]
    said = []
    for (table, source), group in rows.groupby(["table", "source"], sort=False):
        hardware = "; ".join(f"{row.column}: {row.hardware}" for row in group.drop_duplicates("column").itertuples())
        said.append(f"{table} (published; {hardware}). {source}.")
    return said


@cache
def titles() -> dict[str, str]:
    """The titles of the networks that come with mcnbench, by name."""
    found = {}
    for path in sorted(NETWORKS.glob("*.toml")):
        with path.open("rb") as file:
            found[path.stem] = str(tomllib.load(file).get("title", path.stem))
    return found


def title(network: str) -> str:
    """The network's name in print: "AlexNet" for alexnet; a user's own network keeps the name it has."""
    return titles().get(network, network)
