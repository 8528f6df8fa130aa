"""What HM4SR is compared with: counting, neighbours, and sequence networks trained in the same loop.

Each implements `core.scorers.Scorer`. The counting ones need no torch.
"""
