# classlab and its lab in a browser. It was written by the commands of docs/install.md and has not been built by its
# authors, who have no Docker; please say what you find.
#
#   docker build -t classlab .
#   docker run --rm -v "$PWD/runs:/work/runs" classlab run digits-quick --report
#   docker run --rm --network host -v "$PWD/runs:/work/runs" classlab ui --no-browser
#
# torch comes with CUDA. For its small CPU build: --build-arg TORCH_INDEX=…, the address that pytorch.org/get-started names.
FROM python:3.12-slim

ARG TORCH_INDEX

RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev npm && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY classlab /source/classlab
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' /source/constraints.txt)" \
    && pip install --no-cache-dir --constraint /source/constraints.txt '/source[ui]'

RUN useradd --create-home lab && mkdir /work && chown lab /work
USER lab
WORKDIR /work
ENTRYPOINT ["classlab"]
CMD ["--help"]
