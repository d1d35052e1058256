import { describe, expect, test } from "@jest/globals";
import {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  FORMAT,
  type Header,
  packPayload,
} from "../../src/cache/envelope.ts";
import { Random } from "./random.ts";

const NOON = 1_800_000_000_000;
const PLAIN: Header = {
  freshUntil: NOON,
  servedUntil: NOON,
  revision: Number.NEGATIVE_INFINITY,
  stamp: 0.5,
  loadMs: 0,
  etag: null,
};

/** Bytes as programs wrote them that are in use somewhere. What was written once is never changed here; a new format adds to it. */
const GOLDEN: readonly {
  readonly what: string;
  readonly hex: string;
  readonly envelope: Envelope;
}[] = [
  {
    what: "format 1: a value with a revision, an etag and two tags",
    hex:
      "0100427a3185c5000800427a3185d3a60000401c0000000000003fd0000000000000000004d2020004" +
      "303132333435363738396162666564636261393837363534227637227b2274657874223a2254c3bc72227d",
    envelope: {
      freshUntil: NOON + 0.5,
      servedUntil: NOON + 60_000,
      revision: 7,
      stamp: 0.25,
      loadMs: 1_234,
      etag: '"v7"',
      tagCount: 2,
      tokens: "0123456789abfedcba987654",
      json: '{"text":"Tür"}',
      compressed: false,
      rawBytes: 14,
    },
  },
  {
    what: "format 1: the knowledge that there is no value",
    hex: "0102427a3185c5000000427a3185c5000000fff00000000000003fe000000000000000000000000000",
    envelope: { ...PLAIN, tagCount: 0, tokens: "", json: null, compressed: false, rawBytes: 0 },
  },
  {
    what: "format 1: a compressed value",
    hex:
      "0101427a3185c5000000427a3185c5000000fff00000000000003fe80000000000000000000900000" +
      "028b52ffd608a127d00003822626f6f6b202201008083be1401",
    envelope: {
      ...PLAIN,
      stamp: 0.75,
      loadMs: 9,
      tagCount: 0,
      tokens: "",
      json: JSON.stringify("book ".repeat(1_000)),
      compressed: true,
      rawBytes: 5_002,
    },
  },
];

describe("the envelope of a value", () => {
  test.each(GOLDEN)("is read as ever [CanDeserializeOldSnapshots]: $what", ({ hex, envelope }) => {
    expect(decodeEnvelope(Buffer.from(hex, "hex"))).toEqual(envelope);
  });

  test("is written in the last of these formats, byte for byte", () => {
    for (const { hex, envelope } of GOLDEN.filter(({ envelope }) => !envelope.compressed)) {
      const payload = envelope.json === null ? null : packPayload(envelope.json);
      const [head, tail] = encodeEnvelope(envelope, envelope.tagCount, payload);
      const bytes = Buffer.concat([head, Buffer.from(envelope.tokens), tail]);
      expect(bytes[0]).toBe(FORMAT);
      expect(bytes.toString("hex")).toBe(hex);
    }
  });

  test("is not read when its format or a flag is unknown, or something is missing", () => {
    for (const { hex } of GOLDEN) {
      const bytes = Buffer.from(hex, "hex");
      for (const format of [0, FORMAT + 1, 255]) {
        expect(decodeEnvelope(Buffer.concat([Buffer.of(format), bytes.subarray(1)]))).toBeNull();
      }
      expect(
        decodeEnvelope(Buffer.concat([bytes.subarray(0, 1), Buffer.of(4), bytes.subarray(2)])),
      ).toBeNull();
      for (const length of [0, 1, 40]) expect(decodeEnvelope(bytes.subarray(0, length))).toBeNull();
    }
    const tagged = Buffer.from(GOLDEN[0]?.hex ?? "", "hex");
    // In the midst of a token, and of the etag.
    for (const length of [50, 67]) expect(decodeEnvelope(tagged.subarray(0, length))).toBeNull();
  });

  test("is not read when its payload cannot be unpacked", () => {
    const bytes = Buffer.from(GOLDEN[2]?.hex ?? "", "hex");
    expect(decodeEnvelope(bytes.subarray(0, -4))).toBeNull();
    expect(decodeEnvelope(Buffer.concat([bytes.subarray(0, 41), Buffer.from("not zstd at all")]))).toBeNull();
  });
});

describe("a payload", () => {
  /** JSON of exactly so many bytes. */
  const text = (bytes: number, character = "x") => JSON.stringify(character.repeat(bytes - 2));

  test("is compressed from 4,096 bytes on", () => {
    expect(packPayload(text(4_095))).toMatchObject({ compressed: false, rawBytes: 4_095 });
    expect(packPayload(text(4_096))).toMatchObject({ compressed: true, rawBytes: 4_096 });
    // Bytes count, not characters.
    expect(packPayload(JSON.stringify("ü".repeat(2_047)))).toMatchObject({
      compressed: true,
      rawBytes: 4_096,
    });
  });

  test("is compressed only where that saves 15 %", () => {
    const random = new Random(15);
    const characters = (kinds: readonly (readonly [first: number, last: number])[]) =>
      JSON.stringify(
        Array.from({ length: 10_000 }, () => String.fromCharCode(random.whole(...random.one(kinds)))).join(
          "",
        ),
      );
    // Random ASCII can be written in 83 % of its bytes by zstd, random text of which half is not ASCII in 91 %.
    const ascii = packPayload(
      characters([
        [0x23, 0x5b],
        [0x5d, 0x7e],
      ]),
    );
    expect(ascii.compressed).toBe(true);
    expect(ascii.bytes.length).toBeLessThanOrEqual(0.85 * ascii.rawBytes);
    const mixed = packPayload(
      characters([
        [0x23, 0x5b],
        [0x80, 0x7ff],
      ]),
    );
    expect(mixed.compressed).toBe(false);
    expect(mixed.bytes.length).toBe(mixed.rawBytes);
  });
});
