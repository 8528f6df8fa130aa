"""The progress bar of a training, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from model.training.train import TrainingProgress

STEPS_TO_TELL = 10  # the first ones are slower


class TrainingBar:
    """Shows loss, metric, speed and remaining time on standard error while its `with` block runs.

    `announces`: also print, as a line, how long the training takes once that can be told.
    """

    def __init__(self, *, announces: bool = False) -> None:
        self._announces = announces
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("training", total=1.0, status="reading events")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._progress.console.print(sentence, highlight=False, soft_wrap=True)

    def show(self, training: TrainingProgress) -> None:
        """Update the bar."""
        if self._announces and training.step >= STEPS_TO_TELL:
            self._announces = False
            minutes = (training.elapsed_s + training.left_s) / 60
            self.say(f"The training takes about {minutes:.1f} minutes, less if the model stops improving before.")
        completed = training.elapsed_s / max(training.elapsed_s + training.left_s, 1e-9)
        metric = "" if training.metric is None else f"  NDCG@10 {training.metric:.4f}"
        steps_per_s = training.step / max(training.elapsed_s, 1e-9)
        status = f"epoch {training.epoch}  loss {training.loss:.3f}{metric}  {steps_per_s:.1f} steps/s"
        self._progress.update(self._task, completed=completed, status=status)
