import { setImmediate as nextTurn } from "node:timers/promises";
import type { Chapter, ChapterKind, ChapterOutline } from "../../book.ts";
import { fromJson, toJson } from "./columns.ts";
import type { Database, Statements } from "./database.ts";

/** Text written in one transaction, in UTF-16 code units, so that the event loop turns in between. */
const UNITS_AT_ONCE = 1_000_000;

interface OutlineRow {
  readonly id: string;
  readonly position: number;
  readonly title: string;
  readonly path: string;
  readonly kind: ChapterKind;
  readonly start: number;
  readonly length: number;
}

interface ChapterRow extends OutlineRow {
  readonly notes: string;
  readonly text: string;
}

/** Chapters can be read where the book is ready, and of its edition alone. */
const OF_READY_BOOK = `FROM books JOIN chapters ON chapters.book_id = books.id AND chapters.edition = books.edition
  WHERE books.id = $id AND books.user = $user AND books.deleted_at IS NULL AND books.status = 'ready'`;
const OUTLINE =
  "chapters.id, position, chapters.title, chapters.path, chapters.kind, chapters.start, chapters.length";

export class Chapters {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async save(user: string, id: string, edition: number, chapters: readonly Chapter[]): Promise<void> {
    for (const group of groupsOf(chapters)) {
      await this.#database.write((statements) => {
        if (isWanted(statements, user, id, edition)) {
          for (const chapter of group) insert(statements, id, edition, chapter);
        }
      });
      await nextTurn();
    }
  }

  async outlines(user: string, id: string): Promise<readonly ChapterOutline[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<OutlineRow>(`SELECT ${OUTLINE} ${OF_READY_BOOK} ORDER BY position`, { user, id }),
    );
    return rows.map(outlineOf);
  }

  async get(user: string, id: string, index: number): Promise<Chapter | null> {
    const row = await this.#database.read((statements) =>
      statements.get<ChapterRow>(`SELECT ${OUTLINE}, notes, text ${OF_READY_BOOK} AND position = $index`, {
        user,
        id,
        index,
      }),
    );
    return row ? { ...outlineOf(row), text: row.text, notes: fromJson(row.notes) } : null;
  }
}

/** False for a late writer: once the book is ready another edition would only lie there. */
function isWanted(statements: Statements, user: string, id: string, edition: number): boolean {
  const book = statements.get(
    `SELECT 1 FROM books WHERE id = $id AND user = $user AND deleted_at IS NULL
       AND (status IN ('stored', 'parsing') OR edition = $edition)`,
    { user, id, edition },
  );
  return book !== undefined;
}

function insert(statements: Statements, bookId: string, edition: number, chapter: Chapter): void {
  statements.run(
    `INSERT OR REPLACE INTO chapters (book_id, edition, position, id, title, path, kind, start, length, notes, text)
     VALUES ($bookId, $edition, $index, $id, $title, $path, $kind, $start, $length, $notes, $text)`,
    {
      bookId,
      edition,
      index: chapter.index,
      id: chapter.id,
      title: chapter.title,
      path: toJson(chapter.path),
      kind: chapter.kind,
      start: chapter.start,
      length: chapter.length,
      notes: toJson(chapter.notes),
      text: chapter.text,
    },
  );
}

function outlineOf(row: OutlineRow): ChapterOutline {
  return {
    id: row.id,
    index: row.position,
    title: row.title,
    path: fromJson(row.path),
    kind: row.kind,
    start: row.start,
    length: row.length,
  };
}

function groupsOf(chapters: readonly Chapter[]): Chapter[][] {
  const groups: Chapter[][] = [];
  let room = 0;
  for (const chapter of chapters) {
    const last = groups.at(-1);
    if (last && chapter.text.length <= room) last.push(chapter);
    else groups.push([chapter]);
    room = (last === groups.at(-1) ? room : UNITS_AT_ONCE) - chapter.text.length;
  }
  return groups;
}
