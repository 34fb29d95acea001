"""Endcap's command line, its launcher of tritonserver and its demo."""
