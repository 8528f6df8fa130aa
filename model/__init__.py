"""The HM4SR encoder: the only package that knows torch, scikit-learn and safetensors.

Independent of databases, indexes or HTTP. What other packages call:

    from model.network.config import ModelConfig
        ModelConfig(width=64, window=WindowShape(50, 10), contents=(Modality("text", 128),), ...)
    from model.training.train import TrainingPlan, TrainingProgress, train
        train(columns: EventColumns, catalogue: Catalogue, *, config: ModelConfig | None = None,
              plan: TrainingPlan | None = None, sources: Sequence[FeatureSource] = (), seed: int = 0,
              progress: Callable[[TrainingProgress], None] = silent, resume: Path | None = None)
            -> HM4SRBundle         raises InvalidInput where there are no events to train on
        TrainingPlan(epochs=20, max_seconds=None, batch_events=2048, ...): max_seconds bounds the whole run
        TrainingProgress(epoch, step, steps, loss, metric, elapsed_s, left_s)
    from model.checkpoint import load, save
        save(bundle, path) writes a new folder, atomically; load(path) -> HM4SRBundle; both raise CheckpointError
    from model.bundle import BoundEncoder, HM4SRBundle      implement core.ports.encoder.ModelBundle and Encoder
        bundle.version, bundle.window, bundle.report (how it was trained), bundle.bind(catalogue) -> BoundEncoder
        encoder.width, .encode(histories), .query(vectors, gaps_ms), .items(rows)
    from model.inference.incremental import IncrementalEncoder
        IncrementalEncoder(bound_encoder, memory_mib=256).encode(users, histories): as BoundEncoder.encode, but one new
        event of a cached user costs one position; .rebind(bound_encoder) after the catalogue changed; .counts
    from model.inference.cached import CachedBundle
        CachedBundle(bundle, memory_mib=256): a ModelBundle whose bindings encode batches of 8 and more incrementally
    from model.official import load_official_checkpoint, official_bundle
    from model.training.threads import limit_threads
        limit_threads(n): the number of cores for torch in this process; call it once, from an entry point
"""
