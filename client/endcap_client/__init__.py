"""Client SDK of Endcap."""
