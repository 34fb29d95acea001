"""Training, ONNX and TensorRT export, releases and registration of Endcap."""

import os

# OpenMP reads this once, when torch loads it. Its threads otherwise spin while they wait for each other, and
# on a machine that does anything else beside training that costs a multiple: a step of MiniLM on two cores
# under load took 10 s spinning and 1 s passive, and the same on idle cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
