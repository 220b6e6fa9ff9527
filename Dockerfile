# Chromascape with its whole pipeline, run by an ordinary user; nothing is fetched at run time. See docs/container.md.
FROM python:3.12-slim-bookworm

# Debian drops old versions of its packages, so a build with pinned ones would soon fail.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 chromascape \
    && install --directory --owner 1000 /opt/chromascape
USER 1000
WORKDIR /opt/chromascape

# The largest package first, so that a change of the code doesn't fetch it again. `cpu`, or another of PyTorch's builds,
# such as `cu130`, for NVIDIA GPUs.
ARG TORCH=cpu
COPY --chown=1000 constraints.txt ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir "$(grep '^torch==' constraints.txt)" \
        --index-url "https://download.pytorch.org/whl/${TORCH}"

COPY --chown=1000 . .
RUN make .venv/run.stamp \
    && .venv/bin/pip install --no-cache-dir -c constraints.txt -e '.[pipeline,sample,serve,heic]'
# `dvc exp run` commits its experiments, for which git wants a name.
ENV PATH=/opt/chromascape/.venv/bin:$PATH \
    GIT_AUTHOR_NAME=chromascape GIT_AUTHOR_EMAIL=chromascape@localhost \
    GIT_COMMITTER_NAME=chromascape GIT_COMMITTER_EMAIL=chromascape@localhost

EXPOSE 5000 8000
CMD ["make", "run"]
