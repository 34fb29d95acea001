# The production image: NVIDIA's Triton with what Endcap's models import. No training code, no torch.
# docs/serving.md says how to run it.
ARG TRITON=nvcr.io/nvidia/tritonserver:25.08-py3

# The packages are installed with the very Python that the server will run (3.12).
FROM ${TRITON} AS packages
WORKDIR /build
COPY constraints.txt ./
COPY rerank ./rerank
# A folder of its own: whatever the base image brings stays as it is.
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check \
        --target /opt/endcap/packages --constraint constraints.txt "./rerank[redis]"

FROM ${TRITON}
COPY --from=packages /opt/endcap/packages /opt/endcap/packages
# The templates from which `endcap register` makes a repository, of the same version as the packages.
COPY model_repository /opt/endcap/model_repository
ENV ENDCAP_MODEL_REPOSITORY=/opt/endcap/model_repository \
    ENDCAP_STATE=/state \
    OMP_NUM_THREADS=1 \
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
# The exec form: tritonserver is process 1 and gets SIGTERM itself. The flags are those of endcap/launcher.py.
ENTRYPOINT ["tritonserver", \
    "--model-repository=/repository/models", \
    "--model-control-mode=explicit", \
    "--load-model=*", \
    "--strict-readiness=true", \
    "--disable-auto-complete-config", \
    "--model-load-thread-count=4", \
    "--cache-config=local,size=67108864", \
    "--http-port=8000", \
    "--grpc-port=8001", \
    "--metrics-port=8002"]
