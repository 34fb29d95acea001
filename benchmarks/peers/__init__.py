"""Endcap beside what a good engineer would build first: the same weights, catalogue, queries and answer."""
