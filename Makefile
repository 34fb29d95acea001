PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SERVING_VENV ?= .venv-serving
EXTRAS ?= dev
# A second interpreter's environment needs no torch: the serving side and its tests.
SERVING_PATHS := tests/client tests/rerank tests/backends tests/e2e tests/test_schema.py \
	tests/endcap/test_launcher.py tests/endcap/test_launcher_installation.py

.PHONY: docs image-packages image-rehearsal setup demo serve test test-serving lint bench bench-compression bench-diversify bench-encoder bench-load bench-peers bench-quality bench-ranking bench-reliability bench-retrieval bench-sdk bench-soak bench-stages bench-ui audit clean

setup: $(VENV)/.ready ## install everything into .venv

$(VENV)/.ready: constraints.txt pyproject.toml endcap/triton/_shapes.c rerank/endcap_rerank/_loops.c client/pyproject.toml rerank/pyproject.toml export/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Endcap needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e client -e rerank -e 'export[train,tensorrt]' -e '.[$(EXTRAS)]'
	touch $@

demo: setup ## build a demo shop and show what Endcap does with it
	$(BIN)/endcap demo

serve: setup ## the same once, then keep the server up
	$(BIN)/endcap demo --serve

test: setup lint ## every test
	$(BIN)/pytest

$(SERVING_VENV)/.ready: constraints.txt pyproject.toml endcap/triton/_shapes.c rerank/endcap_rerank/_loops.c client/pyproject.toml rerank/pyproject.toml export/pyproject.toml
	$(PYTHON) -m venv $(SERVING_VENV)
	$(SERVING_VENV)/bin/pip install --disable-pip-version-check --quiet -c constraints.txt -e client -e rerank -e export -e '.[serve,test]'
	touch $@

test-serving: $(SERVING_VENV)/.ready ## the serving side without torch: make test-serving PYTHON=python3.12
	$(SERVING_VENV)/bin/pytest -m 'not train' $(SERVING_PATHS)

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy client/endcap_client rerank/endcap_rerank export/endcap_export endcap

bench: bench-compression bench-diversify bench-encoder bench-peers bench-quality bench-ranking bench-reliability bench-retrieval bench-sdk bench-stages bench-load bench-soak ## every benchmark; reports under build/reports

bench-compression: setup bench-quality ## every smaller form of the encoder that bench-quality trained
	$(BIN)/endcap bench compression

bench-diversify: setup ## the diversity strategies beside pyversity
	$(BIN)/endcap bench diversify

bench-encoder: setup ## the int8 encoder beside fp32 ONNX and PyTorch
	$(BIN)/endcap bench encoder

bench-peers: setup ## beside FastAPI, LitServe, BentoML, Ray Serve and PyTriton; installs them into build/peers-venv
	$(BIN)/endcap bench peers

bench-quality: setup ## trained encoders on the real data sets; trains what is absent, which takes hours
	$(BIN)/endcap bench quality

bench-ranking: setup ## the next item beside other recommenders; personalization
	$(BIN)/endcap bench ranking

bench-reliability: setup ## releases under load, overload, kill -9, fuzzed requests, stores down; a quarter of an hour
	$(BIN)/endcap bench reliability

bench-retrieval: setup ## a million products, filters, updates
	$(BIN)/endcap bench retrieval

bench-sdk: setup ## the SDK beside bare tritonclient; deadlines, growth, a killed server
	$(BIN)/endcap bench sdk

bench-stages: setup ## each stage of a search, and the whole search over gRPC
	$(BIN)/endcap bench stages

bench-load: setup ## 30 s of Locust against the demo server
	$(BIN)/endcap bench load

bench-soak: setup ## ten minutes at 60% of saturation: errors, memory, drift
	$(BIN)/endcap bench soak

bench-ui: setup ## a server and Locust's web page, http://127.0.0.1:8089
	$(BIN)/endcap bench ui

docs: setup ## the documentation as a site, build/site
	$(BIN)/mkdocs build --strict

image-packages: setup ## whether the images' packages are to be had for their Python and glibc
	$(BIN)/pytest tests/test_dockerfile.py -k resolve

image-rehearsal: build/demo/repository ## the CPU image's steps without a Docker engine: make image-rehearsal PYTHON=python3.12
	$(BIN)/python deploy/rehearse.py --python $(PYTHON) --repository build/demo/repository

build/demo/repository:
	$(MAKE) demo

audit: ## the pinned versions against PyPI's advisories; needs pypi.org's or osv.dev's database
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --disable-pip-version-check --quiet pip-audit
	build/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

clean: ## remove what the verbs above made
	rm -rf build $(VENV) $(SERVING_VENV) .pytest_cache .mypy_cache .ruff_cache endcap/triton/*.so
