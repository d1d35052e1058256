# One image per app, from one file: docker build --target api|worker|cli .
# Each holds the production dependencies of its own workspace and nothing else. Sources are run as they are: Node strips
# the types, so there is nothing to build, and npm's links to the workspaces stay links (Node strips no types in node_modules).
FROM node:24-slim AS base
ENV NODE_ENV=production NPM_CONFIG_UPDATE_NOTIFIER=false NPM_CONFIG_FUND=false NPM_CONFIG_AUDIT=false
WORKDIR /app

# The manifests alone, so that an edit of the code leaves the installed dependencies in Docker's cache.
FROM base AS packages
COPY package.json package-lock.json ./
COPY packages/books/package.json packages/books/
COPY packages/llm/package.json packages/llm/
COPY packages/recipes/package.json packages/recipes/
COPY packages/runs/package.json packages/runs/
COPY packages/shared/package.json packages/shared/

# The compiler comes along as an optional peer of valibot, which Bull Board uses; nothing here compiles.
FROM packages AS api-dependencies
COPY apps/api/package.json apps/api/
RUN npm ci --omit=dev --ignore-scripts --workspace=apps/api --include-workspace-root=false && npm cache clean --force \
  && rm -rf node_modules/typescript node_modules/@typescript

FROM packages AS worker-dependencies
COPY apps/worker/package.json apps/worker/
RUN npm ci --omit=dev --ignore-scripts --workspace=apps/worker --include-workspace-root=false && npm cache clean --force

FROM packages AS cli-dependencies
COPY apps/api/package.json apps/api/
COPY apps/worker/package.json apps/worker/
COPY apps/cli/package.json apps/cli/
COPY apps/cli/bin apps/cli/bin
RUN npm ci --omit=dev --ignore-scripts --workspace=apps/cli --include-workspace-root=false && npm cache clean --force \
  && rm -rf node_modules/typescript node_modules/@typescript

# What every app has in common. /data is where SQLite's file goes when no MONGODB_URL is given; mount a volume there.
FROM base AS app
RUN mkdir /data && chown node:node /data
ENV MYTHIC_DATA_DIR=/data
STOPSIGNAL SIGTERM

FROM app AS api
ENV HOST=0.0.0.0 PORT=3000
COPY --from=api-dependencies /app ./
COPY packages packages
COPY apps/api apps/api
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => { process.exitCode = r.ok ? 0 : 1 }, () => { process.exitCode = 1 })"]
CMD ["node", "apps/api/src/main.ts"]

FROM app AS worker
ENV WORKER_PORT=3001
COPY --from=worker-dependencies /app ./
COPY packages packages
COPY apps/worker apps/worker
USER node
EXPOSE 3001
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.WORKER_PORT}/health/live`).then((r) => { process.exitCode = r.ok ? 0 : 1 }, () => { process.exitCode = 1 })"]
CMD ["node", "apps/worker/src/main.ts"]

FROM app AS cli
COPY --from=cli-dependencies /app ./
COPY packages packages
COPY apps apps
USER node
ENTRYPOINT ["node", "apps/cli/src/main.ts"]
CMD ["--help"]
