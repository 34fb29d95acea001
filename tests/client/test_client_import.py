import json
import subprocess
import sys

HEAVY = ("torch", "transformers", "gevent", "aiohttp", "endcap_rerank", "onnxruntime")


def modules_after(code):
    """Which heavy modules a fresh interpreter holds after running ``code``."""
    program = (
        f"{code}\nimport sys, json\nprint(json.dumps([m for m in {(*HEAVY, 'grpc')!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_importing_the_sdk_brings_in_nothing_heavy():
    assert modules_after("import endcap_client") == []


def test_a_grpc_client_brings_in_grpc_only():
    assert modules_after("import endcap_client; endcap_client.Client('localhost:1').close()") == ["grpc"]


def test_a_blocking_http_client_stays_free_of_gevent():
    assert modules_after("import endcap_client; endcap_client.Client('localhost:1', 'http').close()") == []
