"""``endcap demo``: a generated shop, a trained release, a real server, and a tour of its answers."""
