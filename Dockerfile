# One image for every role: migrate, worker, serve, learn, monitor. CPU-only torch, no compiler, no root.
ARG PYTHON=python:3.12.12-slim-trixie@sha256:f3fa41d74a768c2fce8016b98c191ae8c1bacd8f1152870a3f9f87d350920b7c
FROM $PYTHON AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# of torch's wheel for the platform; empty: any file that the index has for the version
ARG TORCH_SHA256=
WORKDIR /src
COPY constraints.txt deploy/requirements.txt deploy/uv.txt ./
RUN python -m venv /opt/tidewise \
 && /opt/tidewise/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement uv.txt
ENV UV_NO_CACHE=1
# torch alone, in its build for CPUs: nothing else may come from its index. The rest only as the file with their hashes says.
RUN sed -n 's/^torch==\([^ ;]*\).*/torch==\1/p' constraints.txt | head -n 1 \
  | sed "s/$/${TORCH_SHA256:+ --hash=sha256:$TORCH_SHA256}/" >torch.txt \
 && /opt/tidewise/bin/uv pip install --python /opt/tidewise/bin/python --no-deps --compile-bytecode \
      --index-url "$TORCH_INDEX" ${TORCH_SHA256:+--require-hashes} --requirement torch.txt \
 && /opt/tidewise/bin/uv pip install --python /opt/tidewise/bin/python --no-deps --compile-bytecode \
      --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY stream stream
COPY model model
COPY index index
COPY storage storage
COPY serving serving
COPY tidewise tidewise
RUN /opt/tidewise/bin/uv pip install --python /opt/tidewise/bin/python --no-deps --compile-bytecode \
      --no-build-isolation . \
 && /opt/tidewise/bin/pip uninstall --yes uv

FROM $PYTHON
# pg_dump, for `tidewise backup`
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 tidewise \
 && useradd --uid 10001 --gid tidewise --create-home tidewise \
 && install -d -o tidewise -g tidewise /var/lib/tidewise
COPY --from=build /opt/tidewise /opt/tidewise
ENV PATH=/opt/tidewise/bin:$PATH PYTHONUNBUFFERED=1 TIDEWISE_DATA__FOLDER=/var/lib/tidewise
USER 10001:10001
VOLUME /var/lib/tidewise
ENTRYPOINT ["tidewise"]
CMD ["--help"]
