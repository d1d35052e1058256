import { beforeEach, describe, expect, test } from "@jest/globals";
import type { Decision, Limit, RateLimiter } from "@mythic/shared/rate-limit";
import { DrivenClock, HOUR } from "./set-up.ts";

export interface LimiterBench {
  readonly clock: DrivenClock;
  /** A limiter whose limits nobody has touched yet. */
  open(onDecision?: (decision: Decision) => void): Promise<RateLimiter>;
}

/** What holds wherever limits are kept: in Redis or in this process. */
export function describeLimiter(name: string, makeBench: (clock: DrivenClock) => LimiterBench): void {
  describe(name, () => {
    let bench: LimiterBench;
    let limiter: RateLimiter;
    const pass = (ms: number) => bench.clock.advance(ms);
    beforeEach(async () => {
      bench = makeBench(new DrivenClock());
      limiter = await bench.open();
    });

    async function spend(limit: Limit, times: number): Promise<void> {
      for (let time = 0; time < times; time += 1) {
        expect(await limiter.limit([limit])).toMatchObject({ allowed: true });
      }
    }

    describe("a limit", () => {
      test("lets so many calls through at once, then refuses and says when the next one passes", async () => {
        await spend(TEN, 10);
        const refusal = await limiter.limit([TEN]);
        expect(refusal).toMatchObject({ allowed: false, refusedBy: "ten", never: false });
        expect(refusal.retryAfterMs).toBe(HOUR / 10);
        pass(refusal.retryAfterMs - 1);
        expect(await limiter.limit([TEN])).toMatchObject({ allowed: false, retryAfterMs: 1 });
        pass(1);
        await spend(TEN, 1);
        expect(await limiter.limit([TEN])).toMatchObject({ allowed: false });
      });

      test("says what is left and when all of it is there again", async () => {
        expect(await limiter.limit([TEN])).toMatchObject({
          allowed: true,
          refusedBy: null,
          retryAfterMs: 0,
          limits: [{ name: "ten", limit: 10, remaining: 9, resetMs: HOUR / 10 }],
        });
        expect(await limiter.limit([{ ...TEN, cost: 4 }])).toMatchObject({
          limits: [{ remaining: 5, resetMs: HOUR / 2 }],
        });
        pass(HOUR / 10);
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 6 }] });
        pass(HOUR);
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 10, resetMs: 0 }] });
      });

      test("of a key says nothing of another key, name, group or namespace", async () => {
        await spend({ ...TEN, cost: 10 }, 1);
        const others = [
          { ...TEN, key: "other" },
          { ...TEN, name: "other" },
          { ...TEN, group: "other" },
          { ...TEN, key: "reader}:ten:x" },
          { ...TEN, key: "reader%7D:ten:x" },
          { ...TEN, key: "x", group: "reader" },
          { ...TEN, key: "ten:reader", group: "reader" },
        ];
        for (const other of others) await spend({ ...other, cost: 10 }, 1);
        const { allowed } = await (await bench.open()).limit([TEN]);
        expect(allowed).toBe(true);
      });

      test("with a small burst lets through that share at once, and the whole limit in a period", async () => {
        const limit = { ...TEN, limit: 100, burst: 0.2 };
        await spend(limit, 20);
        expect(await limiter.limit([limit])).toMatchObject({ allowed: false });
        let passed = 20;
        for (let minute = 0; minute < 60; minute += 1) {
          pass(HOUR / 60);
          while ((await limiter.limit([limit])).allowed) passed += 1;
        }
        expect(passed).toBe(120);
      });

      test("without a burst spaces calls evenly", async () => {
        const limit = { ...TEN, burst: 0 };
        await spend(limit, 1);
        expect(await limiter.limit([limit])).toMatchObject({ allowed: false, retryAfterMs: HOUR / 10 });
        pass(HOUR / 10);
        await spend(limit, 1);
      });

      test("takes costs that are no whole numbers", async () => {
        await spend({ ...TEN, cost: 2.5 }, 4);
        expect(await limiter.limit([{ ...TEN, cost: 0.1 }])).toMatchObject({ allowed: false });
      });

      test("takes nothing of a call that costs nothing, and still refuses it while there is debt", async () => {
        const free = { ...TEN, cost: 0 };
        expect(await limiter.limit([free])).toMatchObject({ allowed: true, limits: [{ remaining: 10 }] });
        const reservation = await limiter.reserve([TEN]);
        await reservation.settle({ ten: 12 });
        expect(await limiter.limit([free])).toMatchObject({ allowed: false, retryAfterMs: HOUR / 5 });
      });
    });

    describe("a cost", () => {
      const small = { ...TEN, limit: 100, burst: 0.1 };

      test("above the burst passes when nothing is left to drain, and leaves debt", async () => {
        expect(await limiter.limit([{ ...small, cost: 50 }])).toMatchObject({
          allowed: true,
          limits: [{ remaining: 0, resetMs: HOUR / 2 }],
        });
        expect(await limiter.limit([small])).toMatchObject({
          allowed: false,
          retryAfterMs: (HOUR / 100) * 41,
        });
      });

      test("above the burst is refused as long as anything is left to drain", async () => {
        await spend(small, 1);
        const large = { ...small, cost: 50 };
        expect(await limiter.limit([large])).toMatchObject({ allowed: false, retryAfterMs: HOUR / 100 });
        pass(HOUR / 100);
        await spend(large, 1);
      });

      test("above the limit is refused for good and takes nothing", async () => {
        const calls = [
          limiter.limit([{ ...TEN, cost: 11 }]),
          limiter.reserve([{ ...TEN, cost: 11 }]),
          limiter.wait([{ ...TEN, cost: 11 }]),
          limiter.peek([{ ...TEN, cost: 11 }]),
        ];
        for (const call of calls) {
          const decision = await call;
          expect(decision).toMatchObject({ allowed: false, never: true, refusedBy: "ten" });
          expect(decision.retryAfterMs).toBe(Number.POSITIVE_INFINITY);
        }
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 10 }] });
      });

      test("as large as the limit passes, whatever the burst", async () => {
        await spend({ ...small, cost: 100 }, 1);
      });
    });

    describe("several limits", () => {
      const [ten, five] = [TEN, { ...TEN, name: "five", limit: 5 }];

      test("are each charged their own cost", async () => {
        expect(await limiter.limit([{ ...ten, cost: 3 }, five])).toMatchObject({
          allowed: true,
          limits: [
            { name: "ten", remaining: 7 },
            { name: "five", remaining: 4 },
          ],
        });
      });

      test("are charged all or none: the refusal of one costs the others nothing", async () => {
        await spend({ ...five, cost: 5 }, 1);
        for (let time = 0; time < 20; time += 1) {
          expect(await limiter.limit([ten, five])).toMatchObject({ allowed: false, refusedBy: "five" });
          expect(await limiter.reserve([five, ten])).toMatchObject({ allowed: false, refusedBy: "five" });
        }
        expect(await limiter.peek([ten])).toMatchObject({ limits: [{ remaining: 10 }] });
        pass(HOUR / 5);
        expect(await limiter.limit([ten, five])).toMatchObject({ allowed: true });
      });

      test("that all refuse are answered for by the one that takes longest", async () => {
        const slow = { ...TEN, name: "slow", limit: 1, periodMs: 24 * HOUR };
        await spend({ ...ten, cost: 10 }, 1);
        await spend(slow, 1);
        expect(await limiter.limit([ten, slow, five])).toMatchObject({
          refusedBy: "slow",
          retryAfterMs: 24 * HOUR,
          limits: [{ remaining: 0 }, { remaining: 0 }, { remaining: 5 }],
        });
      });

      test("must be of one group and have names of their own", async () => {
        const wrong = [
          [ten, { ...five, key: "other" }],
          [ten, { ...five, group: "other" }],
          [ten, ten],
        ];
        for (const limits of wrong) await expect(limiter.limit(limits)).rejects.toThrow(TypeError);
        const shared = { ...five, key: "gpt", group: "models" };
        expect(await limiter.limit([shared, { ...ten, group: "models" }])).toMatchObject({ allowed: true });
      });

      test("that are none let everything through", async () => {
        expect(await limiter.limit([])).toMatchObject({ allowed: true, limits: [] });
        expect(await limiter.reserve([])).toMatchObject({ allowed: true });
      });
    });

    test("a refusal changes nothing, however often it is repeated", async () => {
      await spend(TEN, 7);
      const large = { ...TEN, cost: 4 };
      const before = await limiter.peek([TEN]);
      for (let time = 0; time < 50; time += 1) {
        expect(await limiter.limit([large])).toMatchObject({ allowed: false, retryAfterMs: HOUR / 10 });
      }
      expect(await limiter.peek([TEN])).toEqual(before);
      await spend(TEN, 3);
    });

    test("a peek says what a call would be told, and takes nothing", async () => {
      for (let time = 0; time < 20; time += 1) {
        expect(await limiter.peek([TEN])).toMatchObject({ allowed: true, limits: [{ remaining: 10 }] });
      }
      await spend({ ...TEN, cost: 10 }, 1);
      const { tier: _, ...told } = await limiter.peek([TEN]);
      expect(await limiter.limit([TEN])).toMatchObject(told);
    });

    describe("a block", () => {
      test("lets nothing through until it ends", async () => {
        await limiter.block(TEN, 2 * HOUR);
        expect(await limiter.limit([TEN])).toMatchObject({ allowed: false, retryAfterMs: 2 * HOUR });
        expect(await limiter.limit([{ ...TEN, cost: 0 }])).toMatchObject({ allowed: false });
        pass(2 * HOUR - 1);
        expect(await limiter.limit([TEN])).toMatchObject({ allowed: false, retryAfterMs: 1 });
        pass(1);
        await spend(TEN, 10);
      });

      test("leaves nothing, and says so, whatever the call costs", async () => {
        await spend({ ...TEN, cost: 3 }, 1);
        await limiter.block(TEN, 2 * HOUR);
        for (const cost of [1, 10, 0, 5]) {
          expect(await limiter.limit([{ ...TEN, cost }])).toMatchObject({
            allowed: false,
            retryAfterMs: 2 * HOUR,
            limits: [{ remaining: 0, resetMs: 2 * HOUR }],
          });
        }
      });

      test("of one limit does not charge the others", async () => {
        const five = { ...TEN, name: "five", limit: 5 };
        await limiter.block(TEN, HOUR);
        expect(await limiter.limit([five, TEN])).toMatchObject({ allowed: false, refusedBy: "ten" });
        await spend({ ...five, cost: 5 }, 1);
      });

      test("is not made shorter by another one, nor by a settlement", async () => {
        const reservation = await limiter.reserve([TEN]);
        await limiter.block(TEN, 2 * HOUR);
        await limiter.block(TEN, HOUR);
        await reservation.settle({ ten: 2 });
        expect(await limiter.peek([TEN])).toMatchObject({ allowed: false, retryAfterMs: 2 * HOUR });
      });

      test("must be of some length", async () => {
        for (const ms of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
          await expect(limiter.block(TEN, ms)).rejects.toThrow(TypeError);
        }
      });
    });

    test("a reset makes a limit as good as new, be it spent, in debt or blocked", async () => {
      await spend({ ...TEN, cost: 10 }, 1);
      expect(await limiter.limit([TEN])).toMatchObject({ allowed: false });
      await limiter.reset(TEN);
      await spend({ ...TEN, cost: 10 }, 1);
      await limiter.block(TEN, HOUR);
      await limiter.reset(TEN);
      await spend(TEN, 10);
    });

    describe("a reservation", () => {
      test("that cost less gives back the rest", async () => {
        const reservation = await limiter.reserve([{ ...TEN, cost: 8 }]);
        expect(reservation).toMatchObject({ allowed: true, limits: [{ remaining: 2 }] });
        await reservation.settle({ ten: 3 });
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 7 }] });
      });

      test("that cost more leaves debt", async () => {
        const reservation = await limiter.reserve([{ ...TEN, cost: 5 }]);
        await reservation.settle({ ten: 25 });
        const refusal = await limiter.limit([TEN]);
        expect(refusal).toMatchObject({ allowed: false, retryAfterMs: (HOUR / 10) * 16 });
        pass(refusal.retryAfterMs);
        await spend(TEN, 1);
      });

      test("that cost absurdly more leaves debt for ten years at most", async () => {
        const reservation = await limiter.reserve([TEN]);
        await reservation.settle({ ten: 1e30 });
        const { retryAfterMs } = await limiter.limit([TEN]);
        expect(retryAfterMs).toBeGreaterThan(9 * 365 * 24 * HOUR);
        expect(retryAfterMs).toBeLessThan(11 * 365 * 24 * HOUR);
      });

      test("that is never settled drains like any other cost", async () => {
        await limiter.reserve([{ ...TEN, cost: 10 }]);
        pass(HOUR / 2);
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 5 }] });
        pass(HOUR / 2);
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 10, resetMs: 0 }] });
      });

      test("is settled by name; what is not named cost what was estimated", async () => {
        const tokens = { ...TEN, name: "tokens", limit: 1_000, cost: 600 };
        const reservation = await limiter.reserve([TEN, tokens]);
        await reservation.settle({ tokens: 100 });
        expect(await limiter.peek([TEN, tokens])).toMatchObject({
          limits: [{ remaining: 9 }, { remaining: 900 }],
        });
      });

      test("that is released was never there", async () => {
        const reservation = await limiter.reserve([{ ...TEN, cost: 8 }]);
        await reservation.release();
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 10 }] });
      });

      test("ends once: later settlements and releases change nothing", async () => {
        const reservation = await limiter.reserve([{ ...TEN, cost: 8 }]);
        await Promise.all([reservation.settle({ ten: 5 }), reservation.release()]);
        await reservation.settle({ ten: 0 });
        await reservation[Symbol.asyncDispose]();
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 5 }] });
      });

      test("that is disposed of is released, unless it was settled", async () => {
        {
          await using reservation = await limiter.reserve([{ ...TEN, cost: 8 }]);
          expect(reservation.allowed).toBe(true);
        }
        {
          await using reservation = await limiter.reserve([{ ...TEN, cost: 6 }]);
          await reservation.settle({ ten: 4 });
        }
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 6 }] });
      });

      test("that was refused has nothing to give back", async () => {
        await spend(TEN, 7);
        const reservation = await limiter.reserve([{ ...TEN, cost: 8 }]);
        expect(reservation).toMatchObject({ allowed: false, refusedBy: "ten" });
        await reservation.settle({ ten: 0 });
        await reservation.release();
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 3 }] });
      });

      test("gives back nothing that has drained, and not to another window", async () => {
        const old = await limiter.reserve([{ ...TEN, cost: 10 }]);
        pass(HOUR);
        const drained = await limiter.reserve([{ ...TEN, cost: 10 }]);
        pass(1);
        await old.release();
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 0 }] });
        await drained.release();
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 10, resetMs: 0 }] });
      });

      test("that was refused asks again at once after another was released", async () => {
        const first = await limiter.reserve([{ ...TEN, cost: 10 }]);
        expect(await limiter.reserve([TEN])).toMatchObject({ allowed: false });
        await first.release();
        expect(await limiter.reserve([TEN])).toMatchObject({ allowed: true });
      });

      test("cannot be settled by a name or cost that it has not", async () => {
        const reservation = await limiter.reserve([TEN]);
        await expect(reservation.settle({ eleven: 1 })).rejects.toThrow(TypeError);
        for (const cost of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
          await expect(reservation.settle({ ten: cost })).rejects.toThrow(TypeError);
        }
        await reservation.settle({ ten: 4 });
        expect(await limiter.peek([TEN])).toMatchObject({ limits: [{ remaining: 6 }] });
      });
    });

    test("what is no limit is refused with a TypeError", async () => {
      const wrong: readonly Partial<Limit>[] = [
        { name: "" },
        { name: "a b" },
        { name: "a:b" },
        { key: "" },
        { group: "" },
        { limit: 0 },
        { limit: Number.NaN },
        { limit: Number.POSITIVE_INFINITY },
        { periodMs: 0 },
        { periodMs: 1e15 },
        { burst: -0.1 },
        { burst: 1.1 },
        { cost: -1 },
        { cost: Number.NaN },
        { chunk: -1 },
      ];
      for (const change of wrong) {
        await expect(limiter.limit([{ ...TEN, ...change }])).rejects.toThrow(TypeError);
      }
    });

    test("every decision but a peek is told", async () => {
      const told: Decision[] = [];
      const observed = await bench.open((decision) => told.push(decision));
      const decisions = [
        await observed.limit([{ ...TEN, cost: 9 }]),
        await observed.limit([{ ...TEN, cost: 2 }]),
        await observed.limit([{ ...TEN, cost: 11 }]),
      ];
      await observed.peek([TEN]);
      await observed.reserve([TEN]);
      await observed.reserve([{ ...TEN, cost: 11 }]);
      await observed.reset(TEN);
      await observed.wait([TEN]);
      expect(told.slice(0, 3)).toEqual(decisions);
      expect(told.map(({ allowed }) => allowed)).toEqual([true, false, false, true, false, true]);
    });
  });
}

const TEN: Limit = { name: "ten", key: "reader", limit: 10, periodMs: HOUR };
