"""Python-based stand-in of Triton's C++ `onnxruntime` backend, for machines without NVIDIA's container.

A model with ``backend: "onnxruntime"`` and a ``model.onnx`` runs here or there with the same
``config.pbtxt`` and the same answers. What the C++ backend would refuse at load is refused here too.
"""

import json
import os
import sys
import traceback

import triton_python_backend_utils as pb_utils

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import ort_batching
import ort_contract
import ort_session


class TritonPythonModel:
    """One instance: an ONNX Runtime session."""

    @staticmethod
    def auto_complete_config(config):
        """Leave the config as it is: Triton does not tell a backend's stub here where the model lies."""
        return config

    def initialize(self, args):
        """Open the model and hold it against its config.

        Raises:
            ValueError: the config does not fit the model; Triton shows the message and does not load it.
        """
        config = json.loads(args["model_config"])
        self.session, notes = ort_session.open_session(
            config, os.path.join(args["model_repository"], args["model_version"])
        )
        for note in notes:
            pb_utils.Logger.log_warn(f"{config['name']}: {note}")
        self.contract = ort_contract.Contract.of(config, self.session)

    def execute(self, requests):
        """Answer a dynamic batch: together where shapes allow, each alone where together fails."""
        inputs = [[tensor.as_numpy() for tensor in self.in_order(request)] for request in requests]
        responses = [None] * len(requests)
        for group in ort_batching.groups(self.contract, inputs):
            wanted = [requests[position].requested_output_names() for position in group]
            try:
                rows = ort_batching.run(self.contract, self.session, [inputs[position] for position in group])
            except Exception:
                rows = [self.alone(inputs[position]) for position in group]
            for position, names, row in zip(group, wanted, rows, strict=True):
                responses[position] = self.respond(names, row)
        return responses

    def in_order(self, request):
        """The request's tensors in the order of the model's inputs."""
        tensors = {tensor.name(): tensor for tensor in request.inputs()}
        return [tensors[spec.name] for spec in self.contract.inputs]

    def alone(self, arrays):
        """Outputs of one request, or the error that it alone gets."""
        try:
            self.contract.check(arrays)
            return ort_batching.run(self.contract, self.session, [arrays])[0]
        except Exception as error:
            pb_utils.Logger.log_verbose(traceback.format_exc())
            return error

    def respond(self, names, row):
        """A response with the requested outputs, or with the error."""
        if isinstance(row, Exception):
            error = pb_utils.TritonError(f"onnxruntime: {row}", pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        outputs = zip(self.contract.outputs, row, strict=True)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(spec.name, array) for spec, array in outputs if spec.name in names]
        )
