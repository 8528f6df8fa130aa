"""The ports: protocols of what the domain needs from databases (by repository), models and indexes.

Adapters live in `storage/`, `model/` and `index/`; they never import each other.
"""

from core.ports.encoder import Encoder as Encoder
from core.ports.encoder import ModelBundle as ModelBundle
from core.ports.index import IndexBuilder as IndexBuilder
from core.ports.index import ItemIndex as ItemIndex
from core.ports.store import ReadTransaction as ReadTransaction
from core.ports.store import Store as Store
from core.ports.store import Transaction as Transaction
from core.ports.vectors import FloatArray as FloatArray
from core.records import BoolArray as BoolArray
from core.records import DeadLetter as DeadLetter
from core.records import EventColumns as EventColumns
from core.records import EventRow as EventRow
from core.records import LeaseRecord as LeaseRecord
from core.records import ModelRecord as ModelRecord
from core.records import Promotion as Promotion
from core.records import StoredItem as StoredItem
from core.records import StoreTotals as StoreTotals
from core.records import UserState as UserState
from core.records import WriterOffset as WriterOffset
from core.records import WriterPosition as WriterPosition
