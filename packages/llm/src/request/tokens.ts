/**
 * About how many tokens a text has. No byte-pair encoding: it takes seconds for some texts, with the event loop
 * blocked, and a price range needs no more than this. Rates are for current tokenizers of 200,000 entries: a token per four Latin
 * letters, per two letters of other alphabets, per character of Chinese, Japanese and Korean, and two per emoji.
 */
export function estimateTokens(text: string): number {
  // Texts in ASCII alone, as most are, are told by their length, which is found out without a look at each letter here.
  if (Buffer.byteLength(text) === text.length) return Math.ceil(text.length / 4);
  let quarters = 0;
  for (let index = 0; index < text.length; index += 1) quarters += quartersOf(text.charCodeAt(index));
  return Math.ceil(quarters / 4);
}

/** Quarters of a token per UTF-16 unit. */
function quartersOf(unit: number): number {
  if (unit < 0x80) return 1;
  if (unit < 0x2e80) return 2;
  return 4;
}
