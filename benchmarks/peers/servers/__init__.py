"""One module a peer; each runs in the peers' own environment and knows nothing of Endcap."""
