"""Offline evaluation: protocols, full ranking, metrics, and the comparison of many models in one harness.

Independent of files, databases or command lines. What other packages call:

    from model.evaluation.dataset import Dataset       events and items in columns, with a digest
    from model.evaluation.protocols import leave_one_out, temporal      a dataset becomes a Fold
    from model.evaluation.models import Budget, available, spec_of      models by name
    from model.evaluation.harness import Harness       tune, fit, rank, keep what is done
    from model.evaluation.report import report         figures of all models as one document
"""
