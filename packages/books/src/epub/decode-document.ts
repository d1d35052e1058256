/** Bytes decoded at once: large documents never exist as one string. */
const CHUNK_BYTES = 65_536;

/** The text of an XML or HTML document, piece by piece, in the encoding that its mark, its declaration or its shape tells. */
export function* decodeDocument(bytes: Buffer): Generator<string> {
  const decoder = createDecoder(encodingOf(bytes));
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    yield decoder.decode(bytes.subarray(start, start + CHUNK_BYTES), { stream: true });
  }
  yield decoder.decode();
}

function createDecoder(label: string) {
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder("utf-8");
  }
}

function encodingOf(bytes: Buffer): string {
  const start = bytes.subarray(0, 4).toString("latin1");
  if (start.startsWith("\xef\xbb\xbf")) {
    return "utf-8";
  }
  if (start.startsWith("\xff\xfe") || /^[<\s]\0/.test(start)) {
    return "utf-16le";
  }
  if (start.startsWith("\xfe\xff") || /^\0[<\s]/.test(start)) {
    return "utf-16be";
  }
  const head = bytes.subarray(0, 1024).toString("latin1");
  const label = /<\?xml[^>]*\sencoding=["']([\w.:-]+)["']|<meta[^>]*charset=["']?([\w.:-]+)/i.exec(head);
  const declared = label?.[1] ?? label?.[2] ?? "utf-8";
  // Whoever can read the declaration is not reading UTF-16, whatever it says.
  return /^utf-?16/i.test(declared) ? "utf-8" : declared;
}
