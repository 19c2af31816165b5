# tributary without its stack: the command line, and the pipeline that it runs.
FROM node:24.21.0-bookworm-slim AS modules
WORKDIR /opt/tributary
COPY package.json package-lock.json ./
COPY catalog/package.json catalog/
# The image has its own Node, and needs one platform's RocksDB of the dozen that the package carries.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node \
  && cd node_modules/rocksdb/prebuilds \
  && find . -mindepth 1 -maxdepth 1 ! -name "$(node -p 'process.platform + "-" + process.arch')" -exec rm -rf {} +

FROM node:24.21.0-bookworm-slim
# RocksDB's binding links it, and slim images lack it.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libatomic1 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tributary
COPY --from=modules /opt/tributary/node_modules node_modules
COPY . .
RUN install -d -o node -g node /data/state
ENV NODE_ENV=production STATE_DIRECTORY=/data/state
USER node
ENTRYPOINT []
CMD ["./tributary", "run"]
