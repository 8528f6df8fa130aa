"""The files of the data sets that comparisons read, by name. docs/evaluation.md says where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TableData:
    """The files of one data set and how to read them."""

    folder: str
    columns: str
    item_columns: str
    separator: str = "|"
    pictures: str | None = None

    def options(self, data: Path) -> list[str]:
        """What `tidewise evaluate` needs to know of it."""
        files = [data / self.folder / f"{self.folder}.{part}.tsv.gz" for part in ("inter", "item")]
        named = ["--events", str(files[0]), "--columns", self.columns, "--items", str(files[1])]
        return [*named, "--item-columns", self.item_columns, "--separator", self.separator]


TOYS = TableData(
    "amazon2014-toys", "user_id,item_id,timestamp", "item_id=item_id,title=title,categories=s3rec_attribute_ids", " "
)
ML_1M = TableData(
    "ml-1m",
    "user_id,movie_id,timestamp",
    "item_id=movie_id,title=title,text=plot+director+actors,categories=genres",
    pictures="posters_128x192.zip",
)
YELP = TableData("yelp2019", "user_id,item_id,timestamp", "item_id=item_id,text=categories")
RETAIL = TableData("online-retail", "user_id,item_id,timestamp", "item_id=item_id,title=title")
