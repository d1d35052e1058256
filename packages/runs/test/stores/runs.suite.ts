import { describe, expect, test } from "@jest/globals";
import type { Run } from "../../src/run.ts";
import type { RunChange } from "../../src/store.ts";
import { type OpenFresh, storeForAll } from "./bench.ts";
import { createdRun, FAILURE, newRun, ODD_IDS, unique } from "./samples.ts";

export function describeRuns(openFresh: OpenFresh): void {
  describe("runs", () => {
    const bench = storeForAll(openFresh);

    test("a run comes back as it was written, dates, nulls and unicode included", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const full = newRun(user, {
        recipes: ["summary", "quiz"],
        options: { maxCost: 2_500_000_000, fresh: true },
        model: "gpt-☃",
        status: "partial",
        stage: "done",
        counts: { total: 9, completed: 8, failed: 1 },
        usage: { calls: 3, inputTokens: 4, cachedTokens: 1, outputTokens: 5, cost: null, reusedAnswers: 2 },
        failures: [{ step: "s.1", unit: "Kapitel „Schnee“ 𝔐", ...FAILURE }],
        error: FAILURE,
        runningAt: new Date(1_893_456_000_001),
        partialAt: new Date(1_893_456_000_999),
        revision: 7,
      });
      const bare = newRun(user);
      await runs.create(user, full);
      await runs.create(user, bare);
      expect(await runs.get(user, full.id)).toEqual(full);
      expect(await runs.get(user, bare.id)).toEqual(bare);
    });

    test("a run that is created again stays as it is", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const run = await createdRun(bench.store, user);
      const changed = await runs.update(user, run.id, run.revision, { status: "running" });
      await runs.create(user, run);
      expect(await runs.get(user, run.id)).toEqual(changed);
    });

    test("a change is applied at the revision it was made for, and raises it", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const run = await createdRun(bench.store, user);
      const change: RunChange = {
        status: "failed",
        stage: "done",
        counts: { total: 2, completed: 0, failed: 2 },
        usage: { ...run.usage, calls: 2, cost: null },
        failures: [{ step: "a", unit: "b", ...FAILURE }],
        error: FAILURE,
        failedAt: new Date(bench.clock.at + 5),
        model: "other",
        options: { maxCost: 1, fresh: true },
        recipes: ["quiz"],
      };
      const updated = await runs.update(user, run.id, run.revision, change);
      expect(updated).toEqual({ ...run, ...change, revision: run.revision + 1 });
      expect(await runs.get(user, run.id)).toEqual(updated);
      const cleared = await runs.update(user, run.id, run.revision + 1, { error: null, failedAt: null });
      expect(cleared).toEqual({ ...updated, error: null, failedAt: null, revision: run.revision + 2 });
    });

    test("an empty change raises the revision alone", async () => {
      const user = unique("user");
      const run = await createdRun(bench.store, user);
      const updated = await bench.store.runs.update(user, run.id, run.revision, {});
      expect(updated).toEqual({ ...run, revision: run.revision + 1 });
    });

    test("a change for another revision, or of no run, changes nothing", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const run = await createdRun(bench.store, user);
      expect(await runs.update(user, run.id, run.revision - 1, { status: "running" })).toBeNull();
      expect(await runs.update(user, run.id, run.revision + 1, { status: "running" })).toBeNull();
      expect(await runs.update(user, unique("run"), 1, { status: "running" })).toBeNull();
      expect(await runs.get(user, run.id)).toEqual(run);
    });

    test("of two writers at one revision one wins", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const run = await createdRun(bench.store, user);
      const written = await Promise.all(
        Array.from({ length: 10 }, (_, at) => runs.update(user, run.id, run.revision, { model: `m${at}` })),
      );
      const won = written.filter((result) => result !== null);
      expect(won).toHaveLength(1);
      expect(await runs.get(user, run.id)).toEqual(won[0]);
    });

    test("writers that read again after losing all get through, and the revision counts them", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const { id, revision } = await createdRun(bench.store, user);
      const add = async (): Promise<void> => {
        for (;;) {
          const run = (await runs.get(user, id)) as Run;
          const counts = { ...run.counts, total: run.counts.total + 1 };
          if (await runs.update(user, id, run.revision, { counts })) return;
        }
      };
      await Promise.all(Array.from({ length: 12 }, add));
      expect(await runs.get(user, id)).toMatchObject({ counts: { total: 12 }, revision: revision + 12 });
    });

    test("runs are listed newest first, page by page, each once though new ones arrive meanwhile", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const made: string[] = [];
      for (let at = 0; at < 5; at++) made.unshift((await createdRun(bench.store, user)).id);
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof runs.list>> = await runs.list(user, { limit: 2, after });
        seen.push(...page.items.map((run) => run.id));
        after = page.next;
        await createdRun(bench.store, user);
      } while (after !== null);
      expect(seen).toEqual(made);
    });

    test("a list can be of some statuses, of one book, and of both", async () => {
      const { runs } = bench.store;
      const user = unique("user");
      const [one, two] = [unique("book"), unique("book")];
      const a = await createdRun(bench.store, user, { bookId: one, status: "queued" });
      const b = await createdRun(bench.store, user, { bookId: one, status: "succeeded" });
      const c = await createdRun(bench.store, user, { bookId: two, status: "failed" });
      const list = async (filter: { status?: Run["status"][]; bookId?: string }): Promise<string[]> =>
        (await runs.list(user, { limit: 10, after: null, ...filter })).items.map((run) => run.id);
      expect(await list({})).toEqual([c.id, b.id, a.id]);
      expect(await list({ status: ["failed", "queued"] })).toEqual([c.id, a.id]);
      expect(await list({ status: [] })).toEqual([]);
      expect(await list({ bookId: one })).toEqual([b.id, a.id]);
      expect(await list({ bookId: one, status: ["succeeded"] })).toEqual([b.id]);
      const page = await runs.list(user, { limit: 1, after: null, bookId: one });
      expect(page.next).toBe(b.id);
      expect(await runs.list(user, { limit: 1, after: page.next, bookId: one })).toEqual({
        items: [a],
        next: null,
      });
    });

    test("nothing of a run can be seen or changed by another user", async () => {
      const { runs } = bench.store;
      const [user, other] = [unique("user"), unique("user")];
      const run = await createdRun(bench.store, user);
      expect(await runs.get(other, run.id)).toBeNull();
      expect(await runs.list(other, { limit: 10, after: null })).toEqual({ items: [], next: null });
      expect(await runs.list(other, { limit: 10, after: null, bookId: run.bookId })).toMatchObject({
        items: [],
      });
      expect(await runs.update(other, run.id, run.revision, { status: "failed" })).toBeNull();
      expect(await runs.get(user, run.id)).toEqual(run);
    });

    test("odd ids are of no run", async () => {
      const { runs } = bench.store;
      for (const id of ODD_IDS) {
        expect(await runs.get(id, id)).toBeNull();
        expect(await runs.update(id, id, 1, { status: "failed" })).toBeNull();
        expect((await runs.list(id, { limit: 1, after: id, bookId: id })).items).toEqual([]);
      }
    });
  });
}
