# One image for the operator, the peers and the command line.
# It builds with the classic builder too, so nothing in here needs BuildKit.

FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/src/constraints.txt
RUN python3 -m venv --without-pip /opt/bazaar

# Dependencies first: they change seldom, and this layer is kept until they do.
COPY pyproject.toml constraints.txt ./
RUN python3 -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *p['optional-dependencies']['operator'], sep='\n')" > /tmp/needed.txt \
 && pip --python /opt/bazaar/bin/python install --requirement /tmp/needed.txt

COPY README.md LICENSE ./
COPY operator operator
COPY peer peer
RUN pip --python /opt/bazaar/bin/python install '.[operator]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="bazaar" \
      org.opencontainers.image.description="A marketplace that elects its own trader and never loses a trade" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 bazaar \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin bazaar
COPY --from=build /opt/bazaar /opt/bazaar
ENV PATH=/opt/bazaar/bin:$PATH PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
CMD ["bazaar", "--help"]
