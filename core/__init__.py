"""The domain of Tidewise: standard library and numpy only.

Independent of torch, FAISS, SQL, HTTP or Kafka. The other packages implement the ports declared in `core.ports`
and call the use cases, such as `core.ingestion.ingest.Ingestor` and `core.recommendation.recommender.Recommender`.
"""
