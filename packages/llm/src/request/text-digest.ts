import { hash } from "node:crypto";

/** Gives a text's digest. */
export type DigestText = (text: string) => string;

export interface TextDigestsOptions {
  /** UTF-16 units of all texts together whose digests are remembered; at most two bytes of memory each. */
  readonly mostUnits?: number;
  /** How a digest is made, once per text. SHA-256 in base64url without it. */
  readonly digest?: DigestText;
}

/** UTF-16 units above which a text is remembered. A shorter one is hashed in a few microseconds. */
const LONG = 16_384;
/** Sixteen chapters of half a million letters. */
const MOST_UNITS = 8_388_608;
/** Units of a text that its mark is made of. */
const SAMPLES = 64;

interface Known {
  readonly text: string;
  readonly digest: string;
}

/**
 * Digests of texts, each made once: a long text is remembered with its digest, by its content, so that it does not matter who holds
 * which copy. Those not asked for longest are forgotten first. Texts have to be well-formed, else two of them could be one in UTF-8.
 */
export class TextDigests {
  readonly #mostUnits: number;
  readonly #digest: DigestText;
  /**
   * By mark, in the order of their last use. One text for each mark: a map by text would compare with every text of the same
   * length, as V8 hashes long strings by their length alone, and texts made for it could make that slow.
   */
  readonly #known = new Map<number, Known>();
  #units = 0;

  constructor({ mostUnits = MOST_UNITS, digest = sha256 }: TextDigestsOptions = {}) {
    this.#mostUnits = mostUnits;
    this.#digest = digest;
  }

  of(text: string): string {
    if (text.length <= LONG || text.length > this.#mostUnits) return this.#digest(text);
    const mark = markOf(text);
    const known = this.#known.get(mark);
    const digest = known?.text === text ? known.digest : this.#digest(text);
    this.#forget(mark);
    this.#known.set(mark, { text, digest });
    this.#units += text.length;
    for (const oldest of this.#known.keys()) {
      if (this.#units <= this.#mostUnits) break;
      this.#forget(oldest);
    }
    return digest;
  }

  #forget(mark: number): void {
    this.#units -= this.#known.get(mark)?.text.length ?? 0;
    this.#known.delete(mark);
  }
}

/** Of its length and of units all over it (FNV-1a over 32 bits). Texts of one mark are compared, so it need not be strong. */
function markOf(text: string): number {
  let mark = 0x811c9dc5 ^ text.length;
  for (let sample = 1; sample <= SAMPLES; sample += 1) {
    const unit = text.charCodeAt(Math.floor((text.length * sample) / SAMPLES) - 1);
    mark = Math.imul(mark ^ unit, 0x01000193);
  }
  return mark;
}

function sha256(text: string): string {
  return hash("sha256", text, "base64url");
}
