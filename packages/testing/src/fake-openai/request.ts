import { createHash } from "node:crypto";

/** What the fake reads of a chat completion's body. */
export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** In tokens; null without a limit. */
  readonly maxTokens: number | null;
  readonly responseFormat: "text" | "json_object" | "json_schema";
  readonly schemaName: string | null;
  readonly schema: JsonSchema | null;
  /** All messages, joined: what `match` looks at. */
  readonly prompt: string;
  /** The last user message alone: where quotations are taken from. */
  readonly userMessage: string;
  /** SHA-256 of messages and schema name in hexadecimal: equal for equal content, whatever the other options. */
  readonly digest: string;
  readonly body: JsonSchema;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Null for a body that no endpoint would take: no model or no messages. */
export function readChatRequest(body: unknown): ChatRequest | null {
  if (!isRecord(body) || typeof body["model"] !== "string" || !Array.isArray(body["messages"])) return null;
  const messages = body["messages"].filter(isRecord).map((message) => ({
    role: String(message["role"]),
    text: textOf(message["content"]),
  }));
  const { responseFormat, schemaName, schema } = readFormat(body["response_format"]);
  const streamOptions = body["stream_options"];
  const maxTokens = body["max_completion_tokens"] ?? body["max_tokens"];
  return {
    model: body["model"],
    stream: body["stream"] === true,
    includeUsage: isRecord(streamOptions) && streamOptions["include_usage"] === true,
    maxTokens: typeof maxTokens === "number" ? maxTokens : null,
    responseFormat,
    schemaName,
    schema,
    prompt: messages.map((message) => message.text).join("\n\n"),
    userMessage: messages.findLast((message) => message.role === "user")?.text ?? "",
    digest: createHash("sha256")
      .update(JSON.stringify([messages, schemaName]))
      .digest("hex"),
    body,
  };
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .filter(isRecord)
    .map((part) => (typeof part["text"] === "string" ? part["text"] : ""))
    .join("");
}

function readFormat(format: unknown): Pick<ChatRequest, "responseFormat" | "schemaName" | "schema"> {
  const plain = { responseFormat: "text", schemaName: null, schema: null } as const;
  if (!isRecord(format)) return plain;
  if (format["type"] === "json_object") return { ...plain, responseFormat: "json_object" };
  const described = format["json_schema"];
  if (format["type"] !== "json_schema" || !isRecord(described) || !isRecord(described["schema"]))
    return plain;
  return {
    responseFormat: "json_schema",
    schemaName: String(described["name"]),
    schema: described["schema"],
  };
}
