"""What HM4SR is compared with: counting, neighbours, and sequence networks trained in the same loop.

Each implements `core.evaluation.scorers.Scorer`. The counting ones need no torch.
"""
