# The GPU side. On x86-64 the package index's torch brings its own CUDA libraries; the host needs the NVIDIA driver and
# the NVIDIA Container Toolkit alone.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python3 -m venv .venv
COPY pyproject.toml constraints.txt README.md LICENSE dreambot.py ./
COPY storage storage
COPY gpu_worker gpu_worker
ENV PIP_CACHE_DIR=/cache
RUN --mount=type=cache,target=/cache \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[worker]'

FROM python:3.11-slim-bookworm
# The same number as in the bot's image: both write to the folder of blobs.
RUN useradd --uid 10001 --no-create-home dreambot && install -d -o dreambot /app/data /app/data/blobs /app/data/cache
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/app/data/cache/huggingface NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
USER 10001
ENTRYPOINT ["dreambot", "worker"]
