"""The HM4SR network and its parts."""
