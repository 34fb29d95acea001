"""Training, ONNX and TensorRT export, releases and registration of Endcap."""
