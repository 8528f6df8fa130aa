"""The domain of Tidewise: standard library and numpy only.

Knows nothing about torch, FAISS, SQL, HTTP or Kafka. The other packages implement the ports declared in `core.ports`
and call the use cases: `ingest.ingest`, `recommend.Recommender`, `snapshots.SnapshotManager`.
"""
