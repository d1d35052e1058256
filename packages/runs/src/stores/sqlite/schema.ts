import { StoreVersionError } from "../store-version-error.ts";
import type { Database } from "./database.ts";

/**
 * The schema as steps forward; the version is how many of them were taken. A migration that was released is never changed.
 * Times are integers, in milliseconds since 1970; lists and objects are JSON. Columns that may be long come last, so that a
 * row is read without them where they are not asked for.
 */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE books (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  status TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  format TEXT NOT NULL,
  file_name TEXT,
  title TEXT,
  authors TEXT NOT NULL,
  language TEXT,
  chapters INTEGER NOT NULL,
  characters INTEGER NOT NULL,
  edition INTEGER,
  error TEXT,
  created_at INTEGER NOT NULL,
  ready_at INTEGER,
  deleted_at INTEGER,
  revision INTEGER NOT NULL,
  warnings TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX books_by_content ON books (user, sha256) WHERE deleted_at IS NULL;
CREATE INDEX books_of_user ON books (user, id, bytes) WHERE deleted_at IS NULL;
CREATE INDEX books_unparsed ON books (id) WHERE deleted_at IS NULL AND status IN ('stored', 'parsing');
CREATE INDEX books_deleted ON books (id) WHERE deleted_at IS NOT NULL;

-- One row per upload. Its pieces can be read once their number is known, and belong to a book once it was made of them.
CREATE TABLE book_files (
  user TEXT NOT NULL,
  book_id TEXT NOT NULL,
  pieces INTEGER,
  has_book INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user, book_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX book_files_without_book ON book_files (created_at) WHERE has_book = 0;

CREATE TABLE book_pieces (
  user TEXT NOT NULL,
  book_id TEXT NOT NULL,
  piece INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (user, book_id, piece)
) STRICT;

CREATE TABLE chapters (
  book_id TEXT NOT NULL,
  edition INTEGER NOT NULL,
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  title TEXT NOT NULL,
  path TEXT NOT NULL,
  kind TEXT NOT NULL,
  start INTEGER NOT NULL,
  length INTEGER NOT NULL,
  notes TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (book_id, edition, position)
) STRICT;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  book_id TEXT NOT NULL,
  recipes TEXT NOT NULL,
  options TEXT NOT NULL,
  model TEXT,
  status TEXT NOT NULL,
  stage TEXT NOT NULL,
  counts TEXT NOT NULL,
  usage TEXT NOT NULL,
  error TEXT,
  queued_at INTEGER NOT NULL,
  running_at INTEGER,
  cancelling_at INTEGER,
  succeeded_at INTEGER,
  partial_at INTEGER,
  failed_at INTEGER,
  cancelled_at INTEGER,
  revision INTEGER NOT NULL,
  failures TEXT NOT NULL
) STRICT;
CREATE INDEX runs_of_user ON runs (user, id);
CREATE INDEX runs_of_book ON runs (book_id, id);
CREATE INDEX runs_live ON runs (id) WHERE status IN ('queued', 'running', 'cancelling');

CREATE TABLE steps (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  book_id TEXT NOT NULL,
  run_id TEXT,
  kind TEXT NOT NULL,
  recipe TEXT,
  unit TEXT NOT NULL,
  state TEXT NOT NULL,
  fence INTEGER NOT NULL,
  owner TEXT,
  lease_until INTEGER,
  attempts INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  handbacks INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  dispatches INTEGER NOT NULL,
  dispatched_at INTEGER,
  error TEXT,
  result_id TEXT,
  reused_answers INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  title TEXT NOT NULL,
  inputs TEXT NOT NULL
) STRICT;
CREATE INDEX steps_of_run ON steps (user, run_id, id);
CREATE INDEX steps_of_book ON steps (book_id);
CREATE INDEX steps_pending ON steps (user, created_at, id) WHERE state = 'pending';
CREATE INDEX steps_waiting ON steps (not_before) WHERE state = 'pending';
CREATE INDEX steps_dispatched ON steps (user, dispatched_at) WHERE state = 'pending' AND dispatched_at IS NOT NULL;
CREATE INDEX steps_running ON steps (user, lease_until) WHERE state = 'running';

CREATE TABLE results (
  id TEXT PRIMARY KEY,
  step_id TEXT NOT NULL,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE ledger (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  run_id TEXT NOT NULL,
  step_id TEXT NOT NULL,
  recipe TEXT NOT NULL,
  recipe_version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  state TEXT NOT NULL,
  model_asked TEXT NOT NULL,
  model_answered TEXT,
  input_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost INTEGER,
  latency_ms REAL,
  sent_at INTEGER NOT NULL,
  settled_at INTEGER,
  outcome TEXT,
  answer TEXT
) STRICT;
-- Covers the sum over a run, which is asked for before every call.
CREATE INDEX ledger_of_run ON ledger (user, run_id, cost, input_tokens, cached_tokens, output_tokens);
CREATE INDEX ledger_answers ON ledger (user, digest, settled_at) WHERE state = 'answered' AND answer IS NOT NULL;
CREATE INDEX ledger_sent ON ledger (sent_at) WHERE state = 'sent';

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  role TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  last_four TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

CREATE TABLE replies (
  user TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  status INTEGER,
  headers TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (user, key)
) STRICT;
CREATE INDEX replies_by_age ON replies (created_at);
`,
  // Version 2. A row of version 1 said 0 for tokens that were not told, too, and only a call that was never sent cost nothing.
  `
ALTER TABLE ledger RENAME TO ledger_of_version_1;
CREATE TABLE ledger (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  scope TEXT NOT NULL,
  run_id TEXT,
  step_id TEXT,
  recipe TEXT,
  recipe_version INTEGER,
  prompt TEXT,
  key_id TEXT,
  asked_anew INTEGER NOT NULL,
  state TEXT NOT NULL,
  upstream TEXT,
  model_asked TEXT NOT NULL,
  model_answered TEXT,
  service_tier TEXT,
  input_tokens INTEGER,
  cached_tokens INTEGER,
  output_tokens INTEGER,
  tokens INTEGER NOT NULL,
  price TEXT,
  cost INTEGER,
  prompt_cache_saved INTEGER,
  tier_saved INTEGER,
  paid_twice INTEGER NOT NULL,
  latency_ms REAL,
  day TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  settled_at INTEGER,
  erased_at INTEGER,
  outcome TEXT,
  answer TEXT,
  message TEXT
) STRICT;
INSERT INTO ledger
SELECT id, user, 'user:' || user, run_id, step_id, recipe, recipe_version, NULL, digest, 0, state, NULL, model_asked,
  model_answered, NULL,
  iif(input_tokens + output_tokens = 0 AND cost IS NOT 0, NULL, input_tokens), nullif(cached_tokens, 0),
  iif(input_tokens + output_tokens = 0 AND cost IS NOT 0, NULL, output_tokens), input_tokens + output_tokens, NULL, cost,
  iif(cached_tokens = 0, 0, NULL), 0, 0, latency_ms, strftime('%Y-%m-%d', sent_at / 1000, 'unixepoch'), sent_at, settled_at,
  NULL, outcome, answer, NULL
FROM ledger_of_version_1;
DROP TABLE ledger_of_version_1;
-- Covers the sum over a run, which is asked for before every call.
CREATE INDEX ledger_of_run ON ledger (user, run_id, cost, input_tokens, cached_tokens, output_tokens)
  WHERE run_id IS NOT NULL;
CREATE INDEX ledger_of_user ON ledger (user, day);
CREATE INDEX ledger_of_day ON ledger (day);
CREATE INDEX ledger_answers ON ledger (scope, key_id, settled_at) WHERE state = 'answered';
CREATE INDEX ledger_sent ON ledger (sent_at) WHERE state = 'sent';

CREATE TABLE savings (
  user TEXT NOT NULL,
  day TEXT NOT NULL,
  model TEXT NOT NULL,
  cause TEXT NOT NULL,
  calls INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  unpriced INTEGER NOT NULL,
  PRIMARY KEY (user, day, model, cause)
) STRICT, WITHOUT ROWID;
CREATE INDEX savings_of_day ON savings (day);

CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

ALTER TABLE steps ADD COLUMN postponed TEXT;
`,
  // Version 3. One index does for both, and every call writes it.
  `
DROP INDEX ledger_of_user;
DROP INDEX ledger_of_day;
CREATE INDEX ledger_of_day ON ledger (day, user);
`,
];

/**
 * Takes the schema to the newest version, all or nothing; of several processes one does it and the others find it done. Throws
 * `StoreVersionError` when the file is ahead of `migrations`.
 */
export async function migrate(database: Database, migrations: readonly string[] = MIGRATIONS): Promise<void> {
  const current = await database.read((statements) => {
    const known = statements.get("SELECT 1 FROM sqlite_schema WHERE name = 'meta'");
    return known ? versionOf(statements.get(VERSION)) : 0;
  });
  if (current > migrations.length) throw new StoreVersionError(current, migrations.length);
  if (current === migrations.length) return;
  await database.write((statements) => {
    statements.script(
      "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    );
    const found = versionOf(statements.get(VERSION));
    if (found > migrations.length) throw new StoreVersionError(found, migrations.length);
    for (const migration of migrations.slice(found)) statements.script(migration);
    statements.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('version', $version)", {
      version: migrations.length,
    });
  });
}

const VERSION = "SELECT value FROM meta WHERE key = 'version'";

function versionOf(row: { readonly value: number } | undefined): number {
  return row?.value ?? 0;
}
