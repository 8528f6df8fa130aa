"""The peer process: trains and asks one model of RecTools or implicit, as standard input says (`exchange.py`)."""

from __future__ import annotations

from exchange import PeerModel, PeerTask, serve


def make(task: PeerTask) -> PeerModel:
    """The model of the task, with its library imported."""
    library, _, name = task.model.partition(":")
    if library == "rectools":
        from rectools_models import RecToolsModel

        return RecToolsModel(name, task)
    if library == "implicit":
        from implicit_models import ImplicitModel

        return ImplicitModel(name, task)
    msg = f"wanted a model of rectools or implicit, got {task.model!r}"
    raise ValueError(msg)


if __name__ == "__main__":
    serve(make)
