"""Endcap's command line, its launcher of tritonserver and its demo."""

import os

from endcap.blas import choose_kernels

# Before numpy is loaded: by this process, and by those that it starts.
choose_kernels(os.environ)
