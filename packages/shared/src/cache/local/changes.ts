/** Keys that changed. Null: any of them may have. */
export type Changes = readonly string[] | null;

/**
 * Reads what arrived on the channel of Redis: a list of keys, or nothing at all when the database was flushed.
 */
export function readPushedChanges(message: unknown): Changes {
  if (!Array.isArray(message) || message.length === 0) return null;
  return message.map(String);
}

/** What one process tells the others. `sender` is told apart from all others, so that it can pass over its own words. */
export function writeChanges(sender: string, changes: Changes): string {
  return JSON.stringify({ sender, keys: changes });
}

/** Reads what `writeChanges` wrote. What cannot be understood may mean anything. */
export function readToldChanges(reader: string, message: unknown): Changes {
  try {
    const { sender, keys }: { sender?: unknown; keys?: unknown } = JSON.parse(String(message));
    if (sender === reader) return [];
    return Array.isArray(keys) ? keys.map(String) : null;
  } catch {
    return null;
  }
}
