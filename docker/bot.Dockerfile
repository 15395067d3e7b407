# The Discord side: no torch, no model.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python3 -m venv .venv
COPY pyproject.toml constraints.txt README.md LICENSE dreambot.py ./
COPY storage storage
COPY bot bot
ENV PIP_CACHE_DIR=/cache
RUN --mount=type=cache,target=/cache \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[bot]'

FROM python:3.11-slim-bookworm
# The same number as in the worker's image: both write to the folder of blobs.
RUN useradd --uid 10001 --no-create-home dreambot && install -d -o dreambot /app/data /app/data/blobs
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001
ENTRYPOINT ["dreambot", "bot"]
