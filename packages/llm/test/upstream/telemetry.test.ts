import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { metrics, SpanKind, trace } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { askerWith, failureOf, question } from "../asking.ts";
import { MemoryLedger } from "../memory-ledger.ts";
import { modelWith } from "../model-with.ts";

let fake: FakeOpenAi;
const spans = new InMemorySpanExporter();
let figures: InMemoryMetricExporter;
let meters: MeterProvider;

beforeEach(async () => {
  fake = await startFakeOpenAi();
  figures = new InMemoryMetricExporter(AggregationTemporality.DELTA);
  meters = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: figures, exportIntervalMillis: 3_600_000 })],
  });
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  metrics.setGlobalMeterProvider(meters);
});

afterEach(async () => {
  trace.disable();
  metrics.disable();
  spans.reset();
  await meters.shutdown();
  await fake.close();
});

function ask() {
  const model = modelWith({ baseUrl: fake.baseUrl, ledger: new MemoryLedger() });
  return model.conversation(askerWith()).ask(question);
}

describe("where OpenTelemetry is set up, a call", () => {
  test("is a span that tells who answered, and nothing of what", async () => {
    await ask();
    const [span] = spans.getFinishedSpans();
    expect(span).toMatchObject({ name: "chat gpt-5-mini", kind: SpanKind.CLIENT });
    expect(span?.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "gpt-5-mini",
      "gen_ai.request.max_tokens": 500,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": expect.any(Number),
      "gen_ai.usage.output_tokens": expect.any(Number),
      "server.address": "127.0.0.1",
      "server.port": Number(new URL(fake.baseUrl).port),
    });
    expect(JSON.stringify(span?.attributes)).not.toContain("lamp");
  });

  test("that fails is a span with the reason", async () => {
    fake.script({ does: { kind: "status", status: 500 } });
    await failureOf(ask());
    expect(spans.getFinishedSpans()[0]?.attributes["error.type"]).toBe("model_unavailable");
  });

  test("is in the histograms of durations and tokens", async () => {
    await ask();
    await meters.forceFlush();
    const names = figures
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap((scope) => scope.metrics)
      .map(({ descriptor, dataPoints }) => [descriptor.name, descriptor.unit, dataPoints.length]);
    expect(names).toEqual([
      ["gen_ai.client.operation.duration", "s", 1],
      ["gen_ai.client.token.usage", "{token}", 2],
    ]);
  });
});

test("without OpenTelemetry a call is made all the same", async () => {
  trace.disable();
  metrics.disable();
  await expect(ask()).resolves.toBeDefined();
});
