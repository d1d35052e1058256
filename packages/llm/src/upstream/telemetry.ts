import {
  type Attributes,
  type Histogram,
  metrics,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { ChatRequest } from "../request/chat-request.ts";
import type { UpstreamResult } from "./endpoint.ts";
import type { Upstream } from "./upstreams.ts";

/** By which an operator's OpenTelemetry knows who speaks. */
const SCOPE = "mythic";

/**
 * Makes a call within a span of its own, and measures it: names as in OpenTelemetry's semantic conventions for generative AI (1.37).
 * Nothing of what was asked or answered is told. Without OpenTelemetry in the process it costs next to nothing.
 */
export async function traced(
  upstream: Upstream,
  request: ChatRequest,
  call: () => Promise<UpstreamResult>,
): Promise<UpstreamResult> {
  const common = attributesOf(upstream, request);
  const options = { kind: SpanKind.CLIENT, attributes: { ...common, ...parametersOf(request) } };
  return await trace.getTracer(SCOPE).startActiveSpan(`chat ${request.model}`, options, async (span) => {
    const startedAt = performance.now();
    try {
      const result = await call();
      describe(span, result);
      measure(result, { common, seconds: (performance.now() - startedAt) / 1_000 });
      return result;
    } finally {
      span.end();
    }
  });
}

function attributesOf({ server }: Upstream, { model }: ChatRequest): Attributes {
  return {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": model,
    "server.address": server.address,
    "server.port": server.port,
  };
}

function parametersOf(request: ChatRequest): Attributes {
  const numbers = {
    "gen_ai.request.temperature": request["temperature"],
    "gen_ai.request.top_p": request["top_p"],
    "gen_ai.request.seed": request["seed"],
    "gen_ai.request.choice.count": request["n"],
    "gen_ai.request.max_tokens": request["max_completion_tokens"] ?? request["max_tokens"],
  };
  return Object.fromEntries(
    Object.entries(numbers).filter(([, value]) => typeof value === "number"),
  ) as Attributes;
}

function describe(span: Span, result: UpstreamResult): void {
  if (result.kind === "failed") {
    const { code } = result.error;
    span.setAttribute("error.type", code);
    span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    return;
  }
  const { id, modelAnswered, finishReason, usage, serviceTier } = result.completion;
  span.setAttribute("gen_ai.response.id", id);
  if (modelAnswered !== null) span.setAttribute("gen_ai.response.model", modelAnswered);
  if (finishReason !== null) span.setAttribute("gen_ai.response.finish_reasons", [finishReason]);
  if (serviceTier !== null) span.setAttribute("openai.response.service_tier", serviceTier);
  if (usage === null) return;
  span.setAttribute("gen_ai.usage.input_tokens", usage.inputTokens);
  span.setAttribute("gen_ai.usage.output_tokens", usage.outputTokens);
}

function measure(
  result: UpstreamResult,
  { common, seconds }: { readonly common: Attributes; readonly seconds: number },
): void {
  const { duration, tokens } = instruments();
  if (result.kind === "failed") {
    duration.record(seconds, { ...common, "error.type": result.error.code });
    return;
  }
  const { usage, modelAnswered } = result.completion;
  const answered = modelAnswered === null ? common : { ...common, "gen_ai.response.model": modelAnswered };
  duration.record(seconds, answered);
  if (usage === null) return;
  tokens.record(usage.inputTokens, { ...answered, "gen_ai.token.type": "input" });
  tokens.record(usage.outputTokens, { ...answered, "gen_ai.token.type": "output" });
}

interface Instruments {
  readonly duration: Histogram;
  readonly tokens: Histogram;
}

/** By the provider that was in force when they were made: one that comes later has to be asked anew. */
const made = new WeakMap<object, Instruments>();

function instruments(): Instruments {
  const provider = metrics.getMeterProvider();
  const known = made.get(provider);
  if (known !== undefined) return known;
  const meter = provider.getMeter(SCOPE);
  const fresh = {
    duration: meter.createHistogram("gen_ai.client.operation.duration", {
      description: "How long a call of a model took.",
      unit: "s",
      advice: {
        explicitBucketBoundaries: [
          0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
        ],
      },
    }),
    tokens: meter.createHistogram("gen_ai.client.token.usage", {
      description: "Tokens of a call, of input or output.",
      unit: "{token}",
      advice: {
        explicitBucketBoundaries: [
          1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
          67_108_864,
        ],
      },
    }),
  };
  made.set(provider, fresh);
  return fresh;
}
