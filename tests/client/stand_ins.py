"""Small real servers over gRPC and HTTP that speak KServe's protocol like Triton and misbehave on demand."""

from __future__ import annotations

import json
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import serialize_byte_tensor

OUTPUTS = {
    "item_id": ("BYTES", np.array([[b"p1"]], object)),
    "score": ("FP32", np.array([[1.0]], np.float32)),
    "query_info": ("BYTES", np.array([[b"{}"]], object)),
    "accepted": ("INT32", np.array([[1]], np.int32)),
}
HTTP_STATUS = {"UNAVAILABLE": 503, "INTERNAL": 500, "INVALID_ARGUMENT": 400, "RESOURCE_EXHAUSTED": 429}


def packed(datatype, values):
    """A tensor's bytes, made by tritonclient."""
    return serialize_byte_tensor(values).item() if datatype == "BYTES" else values.tobytes()


class StandIn:
    """What both have: how they answer, and what they were asked.

    Attributes:
        delay: seconds before an answer; an Event ends the wait of all.
        refuse: (status, message) in place of an answer.
        calls: names of the models asked for, in order.
        headers: the headers of the last call.
        cancelled: how many calls the client gave up.
    """

    def __init__(self):
        self.delay = 0.0
        self.refuse = None
        self.judge = None
        self.calls = []
        self.headers = {}
        self.inputs = []
        self.cancelled = 0
        self.released = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self, given_up=lambda: False):
        end = time.monotonic() + self.delay
        while time.monotonic() < end and not self.released.is_set():
            if given_up():
                self.cancelled += 1
                return
            time.sleep(0.002)


class GrpcStandIn(StandIn, service_pb2_grpc.GRPCInferenceServiceServicer):
    """A gRPC server; ``credentials`` make it a TLS one, ``port`` is its port."""

    def __init__(self, credentials=None, port=0):
        super().__init__()
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        self.url = f"localhost:{self.port}" if credentials else f"127.0.0.1:{self.port}"
        self._server.start()

    def ModelInfer(self, request, context):
        self.calls.append(request.model_name)
        self.headers = dict(context.invocation_metadata())
        self.inputs.append(list(request.raw_input_contents))
        self.wait(lambda: not context.is_active())
        if refusal := self.refuse or (self.judge and self.judge(request.raw_input_contents)):
            context.abort(getattr(grpc.StatusCode, refusal[0]), refusal[1])
        response = service_pb2.ModelInferResponse()
        for output in request.outputs:
            datatype, values = OUTPUTS[output.name]
            response.outputs.add(name=output.name, datatype=datatype, shape=values.shape)
            response.raw_output_contents.append(packed(datatype, values))
        return response

    def ServerReady(self, request, context):
        return service_pb2.ServerReadyResponse(ready=True)

    def ModelReady(self, request, context):
        return service_pb2.ModelReadyResponse(ready=True)

    def stop(self):
        self.released.set()
        self._server.stop(None).wait()


class HttpStandIn(StandIn):
    """An HTTP server; ``context`` (ssl) makes it a TLS one."""

    def __init__(self, context=None, port=0):
        super().__init__()
        stand_in = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                stand_in.connections.add(self.connection)

            def do_GET(self):
                self.reply(200, {})

            def do_POST(self):
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                stand_in.calls.append(self.path.split("/")[3])
                stand_in.headers = {name.lower(): value for name, value in self.headers.items()}
                stand_in.wait()
                if stand_in.refuse:
                    self.reply(HTTP_STATUS[stand_in.refuse[0]], {"error": stand_in.refuse[1]})
                    return
                header = json.loads(asked[: int(self.headers["Inference-Header-Content-Length"])])
                outputs, payload = [], b""
                for name in [output["name"] for output in header["outputs"]]:
                    datatype, values = OUTPUTS[name]
                    raw = packed(datatype, values)
                    parameters = {"binary_data_size": len(raw)}
                    outputs.append(
                        {"name": name, "datatype": datatype, "shape": values.shape, "parameters": parameters}
                    )
                    payload += raw
                self.reply(200, {"outputs": outputs}, payload)

            def reply(self, status, document, payload=b""):
                head = json.dumps(document).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(head) + len(payload)))
                    self.send_header("Inference-Header-Content-Length", str(len(head)))
                    self.end_headers()
                    self.wfile.write(head + payload)
                except OSError:
                    stand_in.cancelled += 1

            def log_message(self, *_):
                """Keep quiet."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                """A client that hung up is no news."""

        self.connections = set()
        self._server = Quiet(("127.0.0.1", port), Answers)
        self.port = self._server.server_port
        self.url = f"127.0.0.1:{self.port}"
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = f"localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self):
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(2)
            except OSError:
                continue
