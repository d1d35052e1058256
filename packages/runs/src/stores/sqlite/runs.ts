import type { Run, RunStage, RunStatus } from "../../run.ts";
import type { Page, RunChange, RunFilter, RunStore } from "../../store.ts";
import { date, dateOrNull, fromJson, fromJsonOrNull, msOrNull, toJson, toJsonOrNull } from "./columns.ts";
import type { Database, Values } from "./database.ts";
import { pageOf } from "./pages.ts";

/** A row of `runs`. */
export interface RunRow {
  readonly id: string;
  readonly user: string;
  readonly book_id: string;
  readonly recipes: string;
  readonly options: string;
  readonly model: string | null;
  readonly status: RunStatus;
  readonly stage: RunStage;
  readonly counts: string;
  readonly usage: string;
  readonly failures: string;
  readonly error: string | null;
  readonly queued_at: number;
  readonly running_at: number | null;
  readonly cancelling_at: number | null;
  readonly succeeded_at: number | null;
  readonly partial_at: number | null;
  readonly failed_at: number | null;
  readonly cancelled_at: number | null;
  readonly revision: number;
}

export function runOf(row: RunRow): Run {
  return {
    id: row.id,
    user: row.user,
    bookId: row.book_id,
    recipes: fromJson(row.recipes),
    options: fromJson(row.options),
    model: row.model,
    status: row.status,
    stage: row.stage,
    counts: fromJson(row.counts),
    usage: fromJson(row.usage),
    failures: fromJson(row.failures),
    error: fromJsonOrNull(row.error),
    queuedAt: date(row.queued_at),
    runningAt: dateOrNull(row.running_at),
    cancellingAt: dateOrNull(row.cancelling_at),
    succeededAt: dateOrNull(row.succeeded_at),
    partialAt: dateOrNull(row.partial_at),
    failedAt: dateOrNull(row.failed_at),
    cancelledAt: dateOrNull(row.cancelled_at),
    revision: row.revision,
  };
}

export class SqliteRuns implements RunStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(user: string, run: Run): Promise<void> {
    await this.#database.run(
      `INSERT INTO runs (id, user, book_id, revision, ${CHANGEABLE.join(", ")})
       VALUES ($id, $user, $bookId, $revision, ${CHANGEABLE.map((column) => `$${column}`).join(", ")})
       ON CONFLICT (id) DO NOTHING`,
      { ...columnsOf(run), id: run.id, user, bookId: run.bookId, revision: run.revision },
    );
  }

  async get(user: string, id: string): Promise<Run | null> {
    const row = await this.#database.read((statements) =>
      statements.get<RunRow>("SELECT * FROM runs WHERE id = $id AND user = $user", { user, id }),
    );
    return row ? runOf(row) : null;
  }

  async list(user: string, filter: RunFilter): Promise<Page<Run>> {
    const conditions = ["user = $user"];
    const values: Values = { user, limit: filter.limit + 1 };
    if (filter.after !== null) {
      conditions.push("id < $after");
      values["after"] = filter.after;
    }
    if (filter.bookId !== undefined) {
      conditions.push("book_id = $bookId");
      values["bookId"] = filter.bookId;
    }
    if (filter.status !== undefined) {
      conditions.push("status IN (SELECT value FROM json_each($status))");
      values["status"] = toJson(filter.status);
    }
    const rows = await this.#database.read((statements) =>
      statements.all<RunRow>(
        `SELECT * FROM runs WHERE ${conditions.join(" AND ")} ORDER BY id DESC LIMIT $limit`,
        values,
      ),
    );
    return pageOf(rows.map(runOf), filter.limit);
  }

  async update(user: string, id: string, revision: number, change: RunChange): Promise<Run | null> {
    const values = columnsOf(change);
    const settings = Object.keys(values).map((column) => `${column} = $${column}`);
    const row = await this.#database.write((statements) =>
      statements.get<RunRow>(
        `UPDATE runs SET ${["revision = revision + 1", ...settings].join(", ")}
         WHERE id = $id AND user = $user AND revision = $revision RETURNING *`,
        { ...values, user, id, revision },
      ),
    );
    return row ? runOf(row) : null;
  }
}

type ChangeableKey = keyof RunChange;

/** How each property that may change is written; its column comes first. */
const COLUMNS: { readonly [Key in ChangeableKey]: readonly [string, (value: Run[Key]) => Values[string]] } = {
  recipes: ["recipes", toJson],
  options: ["options", toJson],
  model: ["model", (model) => model],
  status: ["status", (status) => status],
  stage: ["stage", (stage) => stage],
  counts: ["counts", toJson],
  usage: ["usage", toJson],
  failures: ["failures", toJson],
  error: ["error", toJsonOrNull],
  queuedAt: ["queued_at", (time) => time.getTime()],
  runningAt: ["running_at", msOrNull],
  cancellingAt: ["cancelling_at", msOrNull],
  succeededAt: ["succeeded_at", msOrNull],
  partialAt: ["partial_at", msOrNull],
  failedAt: ["failed_at", msOrNull],
  cancelledAt: ["cancelled_at", msOrNull],
};

const CHANGEABLE = Object.values(COLUMNS).map(([column]) => column);

/** The columns of what is there in `change`, and no others: statements of few shapes, so that each is prepared once. */
function columnsOf(change: RunChange): Values {
  const values: Values = {};
  for (const key of Object.keys(COLUMNS) as ChangeableKey[]) writeColumn(values, change, key);
  return values;
}

function writeColumn<Key extends ChangeableKey>(values: Values, change: RunChange, key: Key): void {
  const value = change[key] as Run[Key] | undefined;
  const [column, write] = COLUMNS[key];
  if (value !== undefined) values[column] = write(value);
}
