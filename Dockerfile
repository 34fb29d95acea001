# The production image: NVIDIA's Triton with what serving and registering a release need. No training code runs
# in it, no torch is in it. docs/deployment.md says how to run it, and what of it was not run so far.
# `--target export` makes the other image, which trains, exports and builds TensorRT plans on the target GPU.
ARG TRITON=nvcr.io/nvidia/tritonserver:25.08-py3

# The packages are installed with the very Python that the server will run (3.12).
FROM ${TRITON} AS packages
WORKDIR /build
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY client ./client
COPY rerank ./rerank
COPY export ./export
COPY endcap ./endcap
# A folder of its own: whatever the base image brings stays as it is.
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check \
        --target /opt/endcap/packages --constraint constraints.txt \
        ./client "./rerank[redis]" ./export .

# The same base as the server's: a plan runs only in the version of TensorRT that built it.
FROM ${TRITON} AS export
ARG TENSORRT=10.13.2.6
WORKDIR /build
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY client ./client
COPY rerank ./rerank
COPY export ./export
COPY endcap ./endcap
COPY model_repository /opt/endcap/model_repository
# The Python module must be of the version of the libraries in the base; another one fails here.
RUN test "$(dpkg-query --show --showformat '${Version}' libnvinfer10 | cut -d- -f1)" = "${TENSORRT}" \
    && python3 -m pip install --no-cache-dir --disable-pip-version-check \
        --target /opt/endcap/packages --constraint constraints.txt \
        ./client "./rerank[redis]" "./export[train]" . "tensorrt==${TENSORRT}"
ENV ENDCAP_MODEL_REPOSITORY=/opt/endcap/model_repository \
    PATH=/opt/endcap/packages/bin:${PATH} \
    PYTHONPATH=/opt/endcap/packages
USER triton-server
WORKDIR /work
ENTRYPOINT ["endcap"]

FROM ${TRITON} AS serve
ARG TRITON
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Endcap" \
    org.opencontainers.image.description="Search and recommendation server for shops on NVIDIA Triton" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="${TRITON}"
COPY --from=packages /opt/endcap/packages /opt/endcap/packages
# The templates from which `endcap register` makes a repository, of the same version as the packages.
COPY model_repository /opt/endcap/model_repository
ENV ENDCAP_MODEL_REPOSITORY=/opt/endcap/model_repository \
    ENDCAP_STATE=/state \
    OMP_NUM_THREADS=1 \
    PATH=/opt/endcap/packages/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    TOKENIZERS_PARALLELISM=false
# The Python backend's interpreter ignores PYTHONPATH; a .pth file it reads. It puts the folder first, so that
# its numpy 1 wins. The base image has the user triton-server; the stores must be his.
RUN echo "import sys; sys.path.insert(0, '/opt/endcap/packages')" \
        > "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/endcap.pth" \
    && mkdir -p /repository /state && chown triton-server:triton-server /state \
    && python3 -c "import endcap_rerank.ranker, numpy; assert numpy.__version__ < '2'"
USER triton-server
VOLUME /state
EXPOSE 8000 8001 8002
# curl is not in every variant of the base image, Python is.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
# The same launcher as everywhere: it holds the release against its checksums, passes signals on to tritonserver,
# and starts it again when it, or a process of a model, has died: no probe sees a dead one.
# --verbose: the log goes to standard error, nothing is written to the root.
ENTRYPOINT ["endcap", "serve", "--repository=/repository", "--state=/state", "--host=0.0.0.0", \
    "--http-port=8000", "--grpc-port=8001", "--metrics-port=8002", "--metrics-address=0.0.0.0", \
    "--supervise", "--verbose"]
